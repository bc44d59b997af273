"""Exact amounts as decimals of a fixed scale. Pure.

Each is rounded once, half to even, at a scale far below any currency's smallest unit: rows are never rounded to cents, lines are.
"""

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Final

import pyarrow as pa

from sublet.api.times import MS_PER_HOUR
from sublet.export.focus.columns import PRECISION, QUANTITY_SCALE

_POWERS: Final[tuple[int, ...]] = tuple(10**scale for scale in range(PRECISION))
_LARGEST: Final = 10**PRECISION - 1

Ratio = tuple[int, int]
"""Numerator and denominator in lowest terms: an exact number that is looked up faster than a Fraction."""


class TooLarge(ValueError):
    """An amount has more digits than a file's decimals have room for."""


def unscaled(numerator: int, denominator: int, scale: int) -> int:
    """Return a ratio as a whole number of the smallest units of a scale, half to even; TooLarge beyond 38 digits."""
    whole, rest = divmod(numerator * _POWERS[scale], denominator)
    if 2 * rest > denominator or (2 * rest == denominator and whole % 2):
        whole += 1
    if abs(whole) > _LARGEST:
        raise TooLarge(
            f"{numerator}/{denominator} has more than {PRECISION - scale} digits before the point"
        )
    return whole


def decimals(values: Iterable[int | None], scale: int) -> pa.Array:
    """Return whole numbers of the smallest unit as decimals."""
    given = list(values)
    raw = b"".join((v or 0).to_bytes(16, "little", signed=True) for v in given)
    kind = pa.decimal128(PRECISION, scale)
    array = pa.Array.from_buffers(kind, len(given), [None, pa.py_buffer(raw)])
    if None not in given:
        return array
    return array.take(pa.array([None if v is None else i for i, v in enumerate(given)], pa.int32()))


def fraction_decimals(values: Iterable[Fraction | Decimal | None], scale: int) -> pa.Array:
    """Return exact numbers as decimals of a scale."""
    return decimals(
        (None if v is None else unscaled(*v.as_integer_ratio(), scale) for v in values), scale
    )


def gpu_hours(gpu_milliseconds: Iterable[int | None]) -> pa.Array:
    """Return GPU-milliseconds as GPU-hours."""
    return decimals(
        (
            None if ms is None else unscaled(ms, MS_PER_HOUR, QUANTITY_SCALE)
            for ms in gpu_milliseconds
        ),
        QUANTITY_SCALE,
    )


def plain(value: Decimal) -> str:
    """Write a decimal without exponent or needless zeros, and with a point: readers take `8` for no decimal."""
    text = format(value, "f")
    if "." not in text:
        return f"{text}.0"
    text = text.rstrip("0")
    return f"{text}0" if text.endswith(".") else text
