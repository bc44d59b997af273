"""Small tables out of one record per row: fit for hundreds of thousands of rows, not for millions. Pure."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import pyarrow as pa

from sublet.export.focus.amounts import fraction_decimals
from sublet.export.focus.columns import SCALES, TYPES, Column, Kind

Record = Mapping[str, Any]
"""column -> text, milliseconds, exact number or None; a column that is missing is null"""


def table(columns: Sequence[Column], records: Sequence[Record]) -> pa.Table:
    """Return records as a table of columns; TooLarge on an amount that has no room."""
    arrays = [_array(c.kind, [r.get(c.name) for r in records]) for c in columns]
    return pa.table(arrays, names=[c.name for c in columns])


def _array(kind: Kind, values: Sequence[Any]) -> pa.Array:
    if kind in SCALES:
        exact = (v if v is None or isinstance(v, Fraction) else Fraction(v) for v in values)
        return fraction_decimals(exact, SCALES[kind])
    if kind is Kind.TIME:
        return pa.array(values, pa.int64()).cast(TYPES[kind])
    return pa.array(values, TYPES[kind])
