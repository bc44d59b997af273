"""Columns of many rows out of few different values: each value is made once and pointed at by the rows that have it."""

from array import array
from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import chain, repeat
from typing import Any

import pyarrow as pa


def spread(counts: Iterable[int]) -> pa.Array:
    """Return for each row the number of its group, given how many rows each group has."""
    return _codes(chain.from_iterable(repeat(i, n) for i, n in enumerate(counts)))


def made(keys: Iterable[Hashable], make: Callable[[list[Any]], pa.Array]) -> pa.Array:
    """Return a column of what `make` gives for the keys, asking it once for each different one."""
    table: dict[Hashable, int] = {}
    codes = _codes(table.setdefault(key, len(table)) for key in keys)
    return make(list(table)).take(codes)


def texts(values: Sequence[str | None], groups: pa.Array) -> pa.Array:
    """Return a column of texts that are given by group; kept as a dictionary, which Parquet writes as it is."""
    encoded = pa.array(values, pa.string()).dictionary_encode()
    return pa.DictionaryArray.from_arrays(encoded.indices.take(groups), encoded.dictionary)


def _codes(numbers: Iterable[int]) -> pa.Array:
    found = array("i", numbers)
    return pa.Array.from_buffers(pa.int32(), len(found), [None, pa.py_buffer(found)])
