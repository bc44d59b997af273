"""Columns of many rows out of few different values: each value is made once and pointed at by the rows that have it."""

from array import array
from collections.abc import Hashable, Iterable, Sequence
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc


def spread(ends: Sequence[int]) -> pa.Array:
    """Return for each row the number of its group, given the row after each group's last."""
    groups = pa.array(range(len(ends)), pa.int32())
    return pc.run_end_decode(pa.RunEndEncodedArray.from_arrays(pa.array(ends, pa.int32()), groups))


def whole(numbers: "array[int]") -> pa.Array:
    """Return whole numbers of 64 bits as a column, where they are."""
    return pa.Array.from_buffers(pa.int64(), len(numbers), [None, pa.py_buffer(numbers)])


def coded(keys: Iterable[Hashable]) -> tuple[pa.Array, list[Any]]:
    """Return for each key the number of its value, and the values in the order of their first use."""
    numbers: dict[Hashable, int] = {}  # value -> its number
    codes = [numbers.setdefault(key, len(numbers)) for key in keys]
    return pa.array(codes, pa.int32()), list(numbers)


def texts(values: Sequence[str | None], groups: pa.Array) -> pa.Array:
    """Return a column of texts that are given by group; kept as a dictionary, which Parquet writes as it is."""
    first = values[0] if values else None
    if values.count(first) == len(values):
        return same(first, len(groups))
    encoded = pa.array(values, pa.string()).dictionary_encode()
    return pa.DictionaryArray.from_arrays(encoded.indices.take(groups), encoded.dictionary)


def same(value: str | None, rows: int) -> pa.Array:
    """Return a column that says one thing on so many rows."""
    dictionary = pa.array([] if value is None else [value], pa.string())
    return pa.DictionaryArray.from_arrays(_repeated(None if value is None else 0, rows), dictionary)


@lru_cache(maxsize=2)
def _repeated(index: int | None, rows: int) -> pa.Array:
    """Return one index many times: a table has dozens of such columns, which share it."""
    return pa.repeat(pa.scalar(index, pa.int32()), rows)
