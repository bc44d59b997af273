"""One lease over time as the ledger tells it: committed, there to be used, away for maintenance, bound, down, disputed. Pure.

Read by all that says what a landlord is owed or owes. Before the first mark of its capacity a lease isn't called short of
anything: what nobody knows counts as there. In silence (while claims on it are disputed) the last mark holds. `is_seen` says
where that is so.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from sublet.api.billing import LeaseBilling, LeaseSla
from sublet.api.dated import in_order
from sublet.api.ids import LeaseUID
from sublet.api.lease_terms import BuyPrice, CommitmentMode
from sublet.api.times import Millis
from sublet.ledger.entry import EntryKind
from sublet.ledger.texts.lease import LeaseTerms
from sublet.rating.books import Books, Level, Lined
from sublet.rating.calendar import Span
from sublet.rating.timeline import Timeline, summed

WHOLE_LEASE: Final = 2**40
"""GPUs that a maintenance window without a number takes away: more than any lease has."""


class NoTerms(LookupError):
    """The ledger doesn't say what was agreed for a lease, so nobody can say what it costs."""


class Stretch(NamedTuple):
    """Time in which nothing of a lease changes, in GPUs."""

    from_ms: Millis
    to_ms: Millis
    commitment_id: str
    """The phase that holds; empty before the first one and outside the term."""
    price: BuyPrice
    committed: int
    available: int | None
    """GPUs that could be used by the last mark; None: nobody has seen yet."""
    away: int
    """GPUs that maintenance takes away."""
    bound: int
    down: int
    disputed: int

    @property
    def milliseconds(self) -> int:
        """Return how long it lasts."""
        return self.to_ms - self.from_ms

    @property
    def used(self) -> int:
        """Return the committed GPUs that are bound."""
        return min(self.bound, self.committed)

    @property
    def beyond(self) -> int:
        """Return the GPUs that are bound beyond the commitment."""
        return max(0, self.bound - self.committed)

    @property
    def unavailable(self) -> int:
        """Return the committed GPUs that aren't there or are away, less those that are used all the same.

        Known to be down and bound, a GPU is used; what is there is taken by the bound ones that work, and the rest was to be had.
        """
        there = self.committed if self.available is None else self.available
        usable = min(there, max(there, self.committed) - self.away)
        to_be_had = max(0, usable - max(0, self.bound - self.down))
        return max(0, self.committed - self.used - to_be_had)

    @property
    def unused(self) -> int:
        """Return the committed GPUs that nobody used though they were there."""
        return self.committed - self.used - self.unavailable

    @property
    def lost(self) -> int:
        """Return the GPUs that the landlord owed and that weren't there or didn't work.

        One that is missing and down is one. Maintenance that was agreed excuses as many as it takes away.
        """
        missing = 0 if self.available is None else self.committed - self.available
        return max(0, max(missing, self.down) - self.away)

    @property
    def is_seen(self) -> bool:
        """Say whether anybody knows how many GPUs could be used."""
        return self.available is not None and self.disputed == 0


@dataclass(slots=True)
class Evidence:
    """The ledger's intervals on one lease, each in the order of its lines."""

    bound: list[Lined] = field(default_factory=list)
    down: list[Lined] = field(default_factory=list)
    disputed: list[Lined] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Supply:
    """One lease over all its time."""

    lease_uid: LeaseUID
    terms: LeaseTerms
    evidence: Evidence
    marks: Sequence[Level]
    committed: Timeline[tuple[int, str]]
    """GPUs, and the phase's commitment id"""
    price: Timeline[BuyPrice]
    available: Timeline[int | None]
    away: Timeline[int]
    bound: Timeline[int]
    down: Timeline[int]
    disputed: Timeline[int]
    sla: Timeline[LeaseSla | None]
    billing: Timeline[LeaseBilling]
    """How uses are rounded."""

    @property
    def pays_by_use(self) -> bool:
        """Say whether only what is used is paid for."""
        return self.terms.commitment.mode is CommitmentMode.PAY_AS_YOU_GO

    @property
    def begins_ms(self) -> Millis:
        """Return the first instant that anything is said of."""
        lines = (self.committed, self.bound, self.down, self.disputed)
        return min((x.edges[0] for x in lines if x.edges), default=self.terms.term.start_time)

    def stretches(self, span: Span, cuts: Iterable[Millis] = ()) -> Iterator[Stretch]:
        """Yield the stretches of a span in the order of time, cut at some instants too."""
        if span.from_ms >= span.to_ms:
            return
        edges = {at for at in cuts if span.from_ms < at < span.to_ms}
        for line in (self.committed, self.price, self.available, self.away):
            edges.update(line.edges_in(*span))
        for gpus in (self.bound, self.down, self.disputed):
            edges.update(gpus.edges_in(*span))
        begins = [span.from_ms, *sorted(edges)]
        for begin, end, (committed, phase), price, available, away, bound, down, disputed in zip(
            begins,
            [*begins[1:], span.to_ms],
            self.committed.walk(begins),
            self.price.walk(begins),
            self.available.walk(begins),
            self.away.walk(begins),
            self.bound.walk(begins),
            self.down.walk(begins),
            self.disputed.walk(begins),
            strict=True,
        ):
            yield Stretch(
                begin, end, phase, price, committed, available, away, bound, down, disputed
            )


def supply_of(books: Books, lease_uid: LeaseUID) -> Supply:
    """Return one lease over all its time; NoTerms if the ledger has none of it."""
    return _supply(books, lease_uid, evidence_by_lease(books).get(lease_uid, Evidence()))


def supplies_of(books: Books) -> dict[LeaseUID, Supply]:
    """Return every lease that the ledger has terms of, by UID."""
    found = evidence_by_lease(books)
    return {uid: _supply(books, uid, found.get(uid, Evidence())) for uid in sorted(books.leases)}


def evidence_by_lease(books: Books) -> dict[LeaseUID, Evidence]:
    """Return what was bound, down and disputed of each lease, also of those without terms."""
    found: dict[LeaseUID, Evidence] = defaultdict(Evidence)
    for lined in books.intervals(EntryKind.BOUND, EntryKind.DOWNTIME, EntryKind.DISPUTED):
        evidence = found[lined.interval.lease_uid]
        if lined.interval.kind is EntryKind.BOUND:
            evidence.bound.append(lined)
        elif lined.interval.kind is EntryKind.DOWNTIME:
            evidence.down.append(lined)
        else:
            evidence.disputed.append(lined)
    return dict(found)


def _supply(books: Books, lease_uid: LeaseUID, evidence: Evidence) -> Supply:
    terms = books.leases.get(lease_uid)
    if terms is None:
        raise NoTerms(
            f"the ledger has no terms of lease {lease_uid}: it is gone since before they were kept"
        )
    marks, said = books.capacity.get(lease_uid, []), books.contracts[lease_uid]
    prices = in_order(terms.prices)
    return Supply(
        lease_uid=lease_uid,
        terms=terms,
        evidence=evidence,
        marks=marks,
        committed=_committed(terms),
        price=Timeline(prices[0], [(p.effective_time, p) for p in prices]),
        available=Timeline(None, [(mark.at_ms, mark.gpus) for mark in marks]),
        away=summed(_away(terms)),
        bound=summed(_gpus(evidence.bound)),
        down=summed(_gpus(evidence.down)),
        disputed=summed(_gpus(evidence.disputed)),
        sla=Timeline(said[0].terms.sla, [(x.from_ms, x.terms.sla) for x in said]),
        billing=Timeline(said[0].terms.billing, [(x.from_ms, x.terms.billing) for x in said]),
    )


def _committed(terms: LeaseTerms) -> Timeline[tuple[int, str]]:
    """Return the commitment: nothing outside the term, whatever the phases say."""
    begin, end = terms.term.start_time, terms.term.end_time
    starts = {max(at, begin) for at in terms.commitment.edges()}
    changes = [
        (at, (terms.commitment.gpus_at(at), _phase_at(terms, at)))
        for at in sorted(starts)
        if end is None or at < end
    ]
    over = [(end, (0, ""))] if end is not None else []
    return Timeline((0, ""), [*changes, *over])


def _phase_at(terms: LeaseTerms, at_ms: Millis) -> str:
    begun = [p for p in terms.commitment.phases if p.start_time <= at_ms]
    return max(begun, key=lambda p: p.start_time).commitment_id if begun else ""


def _away(terms: LeaseTerms) -> Iterator[tuple[Millis, int]]:
    for window in terms.maintenance:
        gpus = WHOLE_LEASE if window.gpus is None else window.gpus
        yield window.start_time, gpus
        yield window.end_time, -gpus


def _gpus(lines: Iterable[Lined]) -> Iterator[tuple[Millis, int]]:
    """Yield the changes that intervals make; one that lasts goes on for as long as anybody asks."""
    for interval, _, _ in lines:
        yield interval.start_ms, interval.gpus
        if interval.end_ms is not None:
            yield interval.end_ms, -interval.gpus
