"""Several steps at once, none of which is left behind when another fails."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def all_of(steps: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Run steps at once, wait for every one, then raise the first failure if there was any.

    A plain gather returns at the first failure while the others still write: a give-back that follows would be
    overtaken by a late lock.
    """
    results = await asyncio.gather(*steps, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [r for r in results if not isinstance(r, BaseException)]
