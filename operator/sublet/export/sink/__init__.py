"""Where files go: each stands there whole or not at all."""
