"""Whether a bind waited on another leased cluster, judged by the times of the operator's requests."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tests.harness.tracing import Request

_SOON_SECONDS = 0.05
"""Within this time after what it waited for, a bind goes on."""


@dataclass(frozen=True)
class Wait:
    """A time within a bind in which none of its requests was under way."""

    begun: float
    ended: float

    @property
    def seconds(self) -> float:
        """Return how long it was."""
        return self.ended - self.begun


def bind_of(uid: str, trace: Iterable[Request]) -> list[Request]:
    """Return a claim's requests until its Bound was written, as they were sent."""
    found: list[Request] = []
    for each in sorted((r for r in trace if r.is_about(uid)), key=lambda r: r.begun):
        found.append(each)
        if says_bound(each):
            return found
    raise AssertionError(f"{uid} isn't said to be Bound")


def says_bound(request: Request) -> bool:
    """Say whether a request made a claim Bound."""
    put = request.method == "PUT" and request.path.endswith("/status")
    return put and not request.failed and '"boundTime"' in request.body


def waits_of(made: float, bind: Sequence[Request]) -> Iterator[Wait]:
    """Yield the waits of a bind, the one from its claim's creation to the first request among them."""
    until = made
    for each in bind:
        if each.begun > until:
            yield Wait(until, each.begun)
        until = max(until, each.ended)


def behind(waits: Iterable[Wait], others: Sequence[Request], *, usual_seconds: float) -> list[Wait]:
    """Return waits, longer than is usual, that ended when one of these requests did.

    Whoever waits on a request goes on as soon as it is answered or given up; waits that are as long without any such
    request end beside one by chance.
    """
    return [
        wait
        for wait in waits
        if wait.seconds > usual_seconds
        and any(0 <= wait.ended - r.ended <= _SOON_SECONDS for r in others)
    ]
