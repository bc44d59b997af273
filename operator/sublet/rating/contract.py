"""What a lease's contract said when, out of its texts in the ledger: no edit changes what was before it. Pure.

A text holds from when it was said until the next; the first one for all time before too. What has a date of its own (prices,
phases, exercised options, windows of maintenance, a later end) and is added holds from that date, also if it is past: so what was
forgotten is put right. What is changed or dropped was so until then.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

from sublet.api.lease_terms import Maintenance, Phase
from sublet.api.times import Millis
from sublet.ledger.texts.lease import LeaseTerms

D = TypeVar("D", Phase, Maintenance)
_NEVER: Final = Millis(2**63)


class Said(NamedTuple):
    """A text, and from when it holds."""

    from_ms: Millis
    terms: LeaseTerms


class _Segment(NamedTuple):
    """A text, and from when until when it holds."""

    from_ms: Millis
    until_ms: Millis
    terms: LeaseTerms


def said_next(before: Sequence[Said], at_ms: Millis, terms: LeaseTerms) -> list[Said]:
    """Return a lease's texts with one more; those that are said to be no earlier were dated by a clock that was ahead, and give way."""
    return [*(x for x in before if x.from_ms < at_ms), Said(at_ms, terms)]


def as_agreed(said: Sequence[Said]) -> LeaseTerms:
    """Return the newest text with the phases, the windows and the end that held at each instant."""
    newest, segments = said[-1].terms, _segments(said)
    if len(said) == 1:
        return newest
    update = {
        "commitment": newest.commitment.model_copy(update={"phases": tuple(_phases(segments))}),
        "maintenance": tuple(_maintenance(segments)),
        "term": newest.term.model_copy(update={"end_time": _end(segments)}),
    }
    return newest.model_copy(update=update)


def _segments(said: Sequence[Said]) -> list[_Segment]:
    begins = [Millis(0), *(x.from_ms for x in said[1:])]
    ends = [*begins[1:], _NEVER]
    return [_Segment(b, e, x.terms) for b, e, x in zip(begins, ends, said, strict=True)]


def _held(
    segments: Sequence[_Segment], of: Callable[[LeaseTerms], Sequence[D]]
) -> list[Mapping[Millis, D]]:
    """Return the entries that hold in each segment, by their beginning: its own, and what later ones add for the past."""
    own = [{x.start_time: x for x in of(each.terms)} for each in segments]
    found: list[Mapping[Millis, D]] = [own[-1]]
    added: dict[Millis, D] = {}
    for before, now, each in zip(own[-2::-1], own[:0:-1], segments[:0:-1], strict=True):
        added |= {at: x for at, x in now.items() if at not in before and at < each.from_ms}
        found.append({**added, **before})
    return found[::-1]


def _phases(segments: Sequence[_Segment]) -> Iterator[Phase]:
    """Yield the steps of the commitment in the order of time, each up to the next."""
    last: Phase | None = None
    held = _held(segments, lambda terms: terms.commitment.phases)
    for (begin, end, _), phases in zip(segments, held, strict=True):
        begun = max((at for at in phases if at <= begin), default=None)
        steps = [phases[at] for at in sorted(phases) if begin < at < end]
        if begun is not None:
            steps = [phases[begun].model_copy(update={"start_time": begin}), *steps]
        elif last is not None:
            steps = [last.model_copy(update={"start_time": begin, "gpus": 0}), *steps]
        for step in steps:
            if last is None or (step.commitment_id, step.gpus) != (last.commitment_id, last.gpus):
                yield step
                last = step


def _maintenance(segments: Sequence[_Segment]) -> Iterator[Maintenance]:
    held = _held(segments, lambda terms: terms.maintenance)
    for (begin, end, _), windows in zip(segments, held, strict=True):
        for window in windows.values():
            start, stop = max(window.start_time, begin), min(window.end_time, end)
            if start < stop:
                yield window.model_copy(update={"start_time": start, "end_time": stop})


def _end(segments: Sequence[_Segment]) -> Millis | None:
    """Return when the term ends: where it was moved to, but never before that was said."""
    found = latest = Millis(0)
    for _, until, terms in reversed(segments):
        latest = max(latest, _NEVER if terms.term.end_time is None else terms.term.end_time)
        found = max(found, min(latest, until))
    return None if found == _NEVER else found
