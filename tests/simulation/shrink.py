"""From a history that fails to a smaller one that fails alike: fewer actors, faults, replicas, claims and steps."""

import re
from collections.abc import Iterator

from tests.simulation.history import Result, play
from tests.simulation.plan import Plan

_UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NUMBER = re.compile(r"[0-9]+")
TRIES = 40


def kind_of(violation: str) -> str:
    """Return a violation without what differs from one history to the next."""
    return _NUMBER.sub("N", _UID.sub("UID", violation))[:60]


def shrunk(failed: Result, tries: int = TRIES) -> Result:
    """Return the smallest failure that so many tries find; the seed stays."""
    kind, left, best = kind_of(failed.violations[0]), tries, failed
    progress = True
    while progress and left > 0:
        progress = False
        for plan in _smaller(best.plan):
            left -= 1
            result = play(plan)
            if result.violations and kind_of(result.violations[0]) == kind:
                best, progress = result, True
                break
            if left <= 0:
                break
    return best


def _smaller(plan: Plan) -> Iterator[Plan]:
    for name in plan.actors:
        yield plan.narrowed(actors=tuple(a for a in plan.actors if a != name))
    if plan.faults:
        yield plan.narrowed(faults=())
    for name in plan.faults if len(plan.faults) > 1 else ():
        yield plan.narrowed(faults=tuple(f for f in plan.faults if f != name))
    if plan.claims > 1:
        yield plan.narrowed(claims=plan.claims - 1)
    if plan.steps > 1:
        yield plan.narrowed(steps=plan.steps // 2)
    if plan.replicas > 1:
        yield plan.narrowed(replicas=1)
