"""A plan: one fault at one place of one workload, as one line of JSON that replays it."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Final

from tests.faults.journal import Entry

WRITE_ACTIONS: Final = ("kill-before", "kill-after", "unknown", "409", "500", "429")
"""Tried at every write of every workload."""
FATAL: Final = frozenset({"kill-before", "kill-after"})
MORE_ACTIONS: Final = ("partition", "overtaken")
"""Likewise, if a workload doesn't leave them out: the cluster is partitioned off, another operator comes first."""
VIEW_ACTIONS: Final = ("stale", "replayed", "gone", "stalled")
"""Tried with every watched kind of which the fault-free runs saw changes: an old view over a restart, old events again, 410, a
watch that falls silent."""
PAIR_ACTION: Final = "unobserved"
"""Tried with kinds of which the workload changes an object there and back at once: nobody sees the first half."""
OLD_VIEWS: Final = frozenset({*VIEW_ACTIONS, PAIR_ACTION})
COUNTED: Final = frozenset({"gpuleases", "gpuclasses", "gputenants"})
"""Kinds of which the operator writes counts and conditions, on which no invariant rests."""
MUTE: Final = "mute"
"""Tried once: all that is only told, such as Events, is refused all the time."""


@dataclass(frozen=True, slots=True)
class Place:
    """One write of a workload, or one watched kind."""

    key: str
    """A write: cluster, verb, resource and masked name; a view: cluster and resource."""
    nth: int = 1
    """The n-th write with this key since the workload began."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One fault."""

    workload: str
    action: str = "none"
    place: Place | None = None

    @property
    def line(self) -> str:
        """Return the plan as the line that replays it."""
        body = asdict(self)
        return json.dumps({k: v for k, v in body.items() if v is not None})


def read_plan(line: str) -> Plan:
    """Return the plan that a line of JSON says; ValueError if it says none."""
    try:
        body = json.loads(line)
        place = body.get("place")
        return Plan(body["workload"], body.get("action", "none"), Place(**place) if place else None)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a plan: {line}") from error


def places_in(writes: Iterable[Entry]) -> list[Place]:
    """Return the place of each write, in order."""
    count: Counter[str] = Counter()
    places = []
    for entry in writes:
        count[entry.key] += 1
        places.append(Place(entry.key, count[entry.key]))
    return places


def common_places(runs: Iterable[Iterable[Place]]) -> list[Place]:
    """Return the places that every fault-free run has, in the order of the first."""
    first, *others = [list(run) for run in runs]
    everywhere = set(first).intersection(*map(set, others))
    return [place for place in first if place in everywhere]


def dropped_places(runs: Iterable[Iterable[Place]]) -> list[Place]:
    """Return the places that some fault-free runs have and others don't: no plan waits for one."""
    listed = [list(run) for run in runs]
    everywhere = set(common_places(listed))
    return sorted({*chain(*listed)} - everywhere, key=str)


def plans_for(
    workload: str,
    places: Iterable[Place],
    *,
    more: Iterable[str] = MORE_ACTIONS,
    views: Iterable[str] = (),
    pairs: Iterable[str] = (),
) -> Iterator[Plan]:
    """Yield a plan for every write and action (`more` beside the usual ones), then for every old view of a watched kind."""
    listed = list(places)
    for action in (*WRITE_ACTIONS, *more):
        for place in listed:
            yield Plan(workload, action, place)
    for action in VIEW_ACTIONS:
        for view in views:
            yield Plan(workload, action, Place(view))
    for view in pairs:
        yield Plan(workload, PAIR_ACTION, Place(view))
