"""Numbers in sentences: one GPU is, eight GPUs are. What conditions, Events and commands say goes through here."""


def how_many(number: int, word: str, one: str = "", many: str = "") -> str:
    """Write a number with its word, and with a verb if one is given: as it is said of one, and of many."""
    verb = one if number == 1 else many
    return f"{number} {word}{'' if number == 1 else 's'}" + (f" {verb}" if verb else "")
