"""How much the past still counts: a weight that halves with every half-life and falls evenly in between. Pure.

Whole numbers only, so that every machine gets the same; after sixteen half-lives nothing counts any more. Somebody who
has always held the same number of GPUs has exactly that number as average.
"""

from typing import Final

from sublet.api.times import Millis

HALF_LIVES: Final = 16
_ONE: Final = 1 << HALF_LIVES


def thousandths(held: list[tuple[int, Millis, Millis]], at_ms: Millis, half_life_ms: int) -> int:
    """Return the decayed average at an instant of what was held as (GPUs, from, until), in thousandths of a GPU."""
    total = sum(
        gpus * (_weight(at_ms - from_ms, half_life_ms) - _weight(at_ms - until_ms, half_life_ms))
        for gpus, from_ms, until_ms in held
    )
    return total * 1_000 // _weight(HALF_LIVES * half_life_ms, half_life_ms)


def _weight(age_ms: int, half_life_ms: int) -> int:
    """Return the weight of all that is younger: the integral of the weight from now back to an age.

    In units in which no division is needed: it counts `4 * half_life_ms * 2 ** HALF_LIVES` times.
    """
    whole, rest = divmod(max(0, age_ms), half_life_ms)
    if whole >= HALF_LIVES:
        whole, rest = HALF_LIVES, 0
    full = 2 * _ONE - (2 * _ONE >> whole)
    return full * 3 * half_life_ms**2 + (_ONE >> whole) * (4 * half_life_ms * rest - rest**2)
