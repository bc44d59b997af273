"""Pages for the platform team: what stands on them, as HTML. Pure; shown by the admin endpoint, written by the command line."""
