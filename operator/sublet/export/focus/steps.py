"""The steps of a lease's commitment, each of which is one contract commitment of FOCUS. Pure.

Apart from the tables that are made of them: whoever only asks which months are due loads no Arrow.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Final, NamedTuple

from sublet.api.times import Millis, format_instant, parse_instant
from sublet.ledger.texts.lease import LeaseTerms
from sublet.rating.supply import Supply
from sublet.rating.timeline import Timeline

OPEN_END: Final = parse_instant("9999-12-31T00:00:00Z")
"""The end of what has none; FOCUS wants one."""
_OPTIONS: Final = "options"
"""The step of exercised options before the first phase."""


class Step(NamedTuple):
    """What is committed under one number, within the lease's term."""

    phase: str
    """The landlord's number, with the instant of a later change."""
    begin_ms: Millis
    end_ms: Millis
    is_last: bool


def steps(terms: LeaseTerms) -> Iterator[Step]:
    """Yield the steps of a lease's commitment in the order of time; nothing outside its term is one."""
    begin, end = terms.term.start_time, terms.term.end_time or OPEN_END
    starts = [(p.start_time, p.commitment_id) for p in terms.commitment.phases]
    options = [o.start_time for o in terms.commitment.options if o.exercised]
    if options and min(options) < starts[0][0]:
        starts = [(min(options), _OPTIONS), *starts]
    known: set[str] = set()
    for (start, phase), (following, _) in pairwise([*starts, (end, "")]):
        begins, ends = max(start, begin), min(following, end)
        if begins < ends:
            named = f"{phase}/{format_instant(begins)}" if phase in known else phase
            known.add(phase)
            yield Step(named, begins, ends, is_last=ends == end)


def by_step(supply: Supply) -> Supply:
    """Return a lease whose commitment is told apart by steps, not by the landlord's numbers alone."""
    made = list(steps(supply.terms))
    phase = Timeline(
        "", [(x.begin_ms, x.phase) for x in made] + [(x.end_ms, "") for x in made[-1:]]
    )
    at, (_, *levels) = supply.committed.edges, supply.committed.values
    named = [(each, (gpus, phase.at(each))) for each, (gpus, _) in zip(at, levels, strict=True)]
    return replace(supply, committed=Timeline((0, ""), named))
