"""Columns of many rows out of few different values: each value is made once and pointed at by the rows that have it."""

from array import array
from collections.abc import Hashable, Iterable, Sequence
from itertools import chain, repeat
from typing import Any

import pyarrow as pa


def spread(counts: Iterable[int]) -> pa.Array:
    """Return for each row the number of its group, given how many rows each group has."""
    return _whole("i", chain.from_iterable(repeat(i, n) for i, n in enumerate(counts)))


def whole(numbers: Iterable[int]) -> pa.Array:
    """Return whole numbers as a column."""
    return _whole("q", numbers)


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
    index = pa.scalar(None if value is None else 0, pa.int32())
    dictionary = pa.array([] if value is None else [value], pa.string())
    return pa.DictionaryArray.from_arrays(pa.repeat(index, rows), dictionary)


def _whole(code: str, numbers: Iterable[int]) -> pa.Array:
    found = array(code, numbers)
    kind = pa.int32() if code == "i" else pa.int64()
    return pa.Array.from_buffers(kind, len(found), [None, pa.py_buffer(found)])
