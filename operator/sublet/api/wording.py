"""Numbers in sentences: one GPU is, eight GPUs are. What conditions, Events and commands say goes through here."""

from pathlib import Path
from traceback import walk_tb


def how_many(number: int, word: str, one: str = "", many: str = "") -> str:
    """Write a number with its word, and with a verb if one is given: as it is said of one, and of many."""
    verb = one if number == 1 else many
    return f"{number} {word}{'' if number == 1 else 's'}" + (f" {verb}" if verb else "")


def raised_at(error: Exception) -> str:
    """Return an error's kind and where it was raised, without its text, which may hold what is nobody else's business."""
    *_, (frame, line) = walk_tb(error.__traceback__)
    return f"{type(error).__name__} at {Path(frame.f_code.co_filename).name}:{line}"
