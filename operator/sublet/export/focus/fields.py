"""Charges as columns, by claim and time, and where groups of them begin. Pure.

There are millions, and looking one up in memory takes longer than anything that is done with it. So they are gone through
once, a few at a time, and nothing is called per row that is written in Python, but for what a Fraction is.
"""

from array import array
from collections.abc import Sequence
from operator import attrgetter
from typing import Final, NamedTuple

import pyarrow as pa

from sublet.export.focus.amounts import Ratio
from sublet.export.focus.arrays import whole
from sublet.rating.model import Category, Charge

_order: Final = attrgetter(
    "claim_uid", "from_ms", "to_ms", "category", "lease_uid", "class_name", "corrects", "first_seq"
)
_AT_A_TIME: Final = 1024
"""Charges that stay in a processor's cache with all that belongs to them."""


class Fields(NamedTuple):
    """Columns of charges, and the groups of rows that differ in time and amount alone."""

    charges: Sequence[Charge]
    """In the order of the rows."""
    begins: Sequence[int]
    """For each group its first row."""
    amounts: Sequence[tuple[Ratio, Ratio]]
    """The different amounts, exact: what is owed, and at the list price."""
    from_ms: pa.Array
    to_ms: pa.Array
    gpu_milliseconds: pa.Array
    first_seq: pa.Array
    last_seq: pa.Array
    amount_of_row: pa.Array
    """For each row which of `amounts` are its own."""


class _Unsorted(Exception):
    """A charge comes before one that follows it."""


def fields_of(charges: Sequence[Charge]) -> Fields:
    """Return charges as columns, sorted by claim and time; most come sorted, and sorting them again takes long."""
    try:
        return _read(charges)
    except _Unsorted:
        return _read(sorted(charges, key=_order))


def _read(charges: Sequence[Charge]) -> Fields:
    columns = [array("q") for _ in range(6)]
    numbers: dict[tuple[Ratio, Ratio], int] = {}  # amounts -> their number
    groups = _Groups()
    for first in range(0, len(charges), _AT_A_TIME):
        some = charges[first : first + _AT_A_TIME]
        groups.add(first, some)
        for column, values in zip(columns, _values(some, numbers), strict=True):
            column.fromlist(values)
    return Fields(charges, groups.begins, list(numbers), *map(whole, columns))


def _values(some: Sequence[Charge], numbers: dict[tuple[Ratio, Ratio], int]) -> list[list[int]]:
    ratios = [(c.amount.as_integer_ratio(), c.list_amount.as_integer_ratio()) for c in some]
    return [
        [c.from_ms for c in some],
        [c.to_ms for c in some],
        [c.gpu_milliseconds for c in some],
        [c.first_seq for c in some],
        [c.last_seq for c in some],
        [numbers.setdefault(both, len(numbers)) for both in ratios],
    ]


class _Groups:
    """Finds where groups begin; _Unsorted at a charge that should come before the last one."""

    def __init__(self) -> None:
        self.begins: list[int] = []
        self._kin: tuple[object, ...] | None = None  # what the last group has in common
        self._before: Charge | None = None  # the last charge

    def add(self, first: int, some: Sequence[Charge]) -> None:
        """Go on with charges from a row on."""
        kin, before = self._kin, self._before
        for row, charge in enumerate(some, first):
            # a claim's reservation has one name, class and currency, and on a lease one product
            its = (
                charge.claim_uid,
                charge.sequence,
                charge.lease_uid,
                charge.category,
                charge.tags_hash,
                charge.list_price,
                charge.price,
                charge.corrects,
            )
            # of the same claim and later: that is in order, whatever else the order goes by
            if its != kin or before is None or charge.from_ms <= before.from_ms:
                if before is not None and _order(charge) < _order(before):
                    raise _Unsorted
                if its != kin:
                    self.begins.append(row)
                    # an adjustment has a reason, a currency and a namespace of its own
                    kin = None if charge.category is Category.ADJUSTMENT else its
            before = charge
        self._kin, self._before = kin, before
