"""Lines on a terminal, of texts that others wrote: landlords, tenants, their clusters."""


def one_line(text: str) -> str:
    """Return a text without what would break its line, or drive the terminal."""
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)
