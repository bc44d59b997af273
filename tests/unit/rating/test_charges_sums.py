"""Rating against an integral that is written another way: millisecond by millisecond where things change, over any history."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise

from hypothesis import given, settings, strategies as st

from sublet.api.times import MS_PER_HOUR
from sublet.ledger.entry import EntryKind
from sublet.rating.calendar import Span
from sublet.rating.charges import charges
from sublet.rating.grid import Grid
from sublet.rating.model import Category, Charge
from tests.builders.billing import Journal
from tests.builders.wholesale import at

BEGIN = at("2026-10-24T20:00:00Z")
"""Clocks in Madrid go back within the hours after it."""
HOURS = 12
PRICES = (("2.00", 0), ("3.37", 5), ("0.01", 9))
"""What floating claims pay, by the hour from which on."""
DISCOUNTS = ((0, 0), (3, 25), (7, 10))


@dataclass
class Piece:
    """A reservation of one claim: from, to and the price in minutes, GPUs, and downtimes within it."""

    claim: int
    sequence: int
    lease: str
    gpus: int
    begin: int
    end: int | None
    floats: bool
    price: str
    down: list[tuple[int, int, int]] = field(default_factory=list)


@st.composite
def histories(draw: st.DrawFn) -> list[Piece]:
    """Draw claims that move between leases, with and without gaps, some of which last."""
    found = []
    for claim in range(draw(st.integers(1, 4))):
        at_minute = draw(st.integers(0, 300))
        floats, price = draw(st.booleans()), draw(st.sampled_from(["2.00", "1.111111", "0"]))
        for sequence in range(1, draw(st.integers(1, 4)) + 1):
            length = draw(st.integers(1, 200))
            lasts = draw(st.booleans()) and sequence == 4
            lease = draw(st.sampled_from(["west", "east"]))
            piece = Piece(
                claim, sequence, lease, draw(st.integers(1, 64)), at_minute,
                None if lasts else at_minute + length, floats, price,
            )  # fmt: skip
            first = draw(st.integers(0, length - 1))
            if draw(st.booleans()) and not lasts:
                last = draw(st.integers(first + 1, length))
                piece.down.append((at_minute + first, at_minute + last, 1))
            found.append(piece)
            at_minute += length + draw(st.sampled_from([0, 0, 7]))
    return found


def ms(minute: int, jitter: int = 0) -> int:
    return BEGIN + minute * 60_000 + jitter


def journal_of(pieces: list[Piece]) -> Journal:
    journal = Journal()
    journal.tenant(
        billing={"timeZone": "Europe/Madrid", "dayCutHour": 3},
        discounts=[
            {"effectiveTime": BEGIN + h * MS_PER_HOUR, "percent": percent}
            for h, percent in DISCOUNTS
        ],
    )
    journal.offer("h100", *((p, BEGIN + h * MS_PER_HOUR) for p, h in PRICES))
    for x in pieces:
        claim = f"c{x.claim}"
        journal.reserved(claim, sequence=x.sequence, floats=x.floats, sla={"creditPercent": 50})
        end = None if x.end is None else ms(x.end, x.gpus)
        journal.held(
            claim, ms(x.begin, x.sequence), end, gpus=x.gpus, lease_uid=x.lease,
            sequence=x.sequence, price=x.price,
        )  # fmt: skip
        for begin, until, gpus in x.down:
            journal.held(
                claim, ms(begin, x.sequence), ms(until, x.sequence), gpus=gpus, lease_uid=x.lease,
                sequence=x.sequence, price=x.price, kind=EntryKind.DOWNTIME,
            )  # fmt: skip
    return journal


def price_at(piece: Piece, at_ms: int) -> Fraction:
    listed = Fraction(piece.price)
    for price, hour in PRICES if piece.floats else ():
        if at_ms >= BEGIN + hour * MS_PER_HOUR:
            listed = Fraction(price)
    percent = max((h, p) for h, p in DISCOUNTS if h == 0 or at_ms >= BEGIN + h * MS_PER_HOUR)[1]
    return listed * (100 - percent) / 100


def integral(pieces: list[Piece], span: Span) -> Iterator[tuple[int, Fraction]]:
    """Yield GPU-milliseconds and money between each two instants at which any price may change."""
    edges = sorted({*span, *(BEGIN + h * MS_PER_HOUR for h in range(HOURS * 2))})
    for x in pieces:
        start, end = ms(x.begin, x.sequence), span[1] if x.end is None else ms(x.end, x.gpus)
        for low, high in pairwise(edges):
            if span[0] <= low and high <= span[1]:
                length = max(0, min(high, end) - max(low, start))
                yield x.gpus * length, x.gpus * length * price_at(x, low) / MS_PER_HOUR


def use(found: list[Charge]) -> tuple[int, Fraction]:
    mine = [c for c in found if c.category is Category.USE]
    return sum(c.gpu_milliseconds for c in mine), sum((c.amount for c in mine), Fraction(0))


def by_category(found: list[Charge]) -> dict[Category, tuple[int, Fraction, Fraction]]:
    sums: dict[Category, tuple[int, Fraction, Fraction]] = defaultdict(
        lambda: (0, Fraction(0), Fraction(0))
    )
    for c in found:
        ms_, amount, listed = sums[c.category]
        sums[c.category] = (ms_ + c.gpu_milliseconds, amount + c.amount, listed + c.list_amount)
    return {k: v for k, v in sums.items() if any(v)}


WHOLE = Span(BEGIN, BEGIN + HOURS * MS_PER_HOUR)


@settings(deadline=None)
@given(histories())
def test_use_is_the_integral_of_what_was_held_without_any_error(pieces):
    found = use(charges(journal_of(pieces).tenancy(), WHOLE, Grid.NONE, WHOLE.to_ms))

    parts = list(integral(pieces, WHOLE))
    assert found == (sum(q for q, _ in parts), sum((m for _, m in parts), Fraction(0)))


@settings(deadline=None)
@given(histories(), st.sampled_from([Grid.HOUR, Grid.DAY]), st.integers(0, HOURS * 3_600_000))
def test_no_grid_and_no_cut_of_the_span_changes_any_sum(pieces, grid, cut):
    tenancy = journal_of(pieces).tenancy()
    whole = by_category(charges(tenancy, WHOLE, Grid.NONE, WHOLE.to_ms))

    assert by_category(charges(tenancy, WHOLE, grid, WHOLE.to_ms)) == whole
    halves = (Span(WHOLE.from_ms, BEGIN + cut), Span(BEGIN + cut, WHOLE.to_ms))
    assert by_category([c for x in halves for c in charges(tenancy, x, grid, WHOLE.to_ms)]) == whole


@settings(deadline=None)
@given(histories())
def test_no_credit_is_more_than_the_time_that_was_lost_was_worth(pieces):
    found = by_category(charges(journal_of(pieces).tenancy(), WHOLE, Grid.NONE, WHOLE.to_ms))

    lost = [
        Piece(x.claim, x.sequence, x.lease, g, b, e, x.floats, x.price)
        for x in pieces
        for b, e, g in x.down
    ]
    worth = sum(
        (
            Fraction(x.gpus) * max(0, min(high, ms(x.end or 0, x.sequence)) - max(low, ms(x.begin, x.sequence)))
            * price_at(x, low) / MS_PER_HOUR
            for x in lost
            for low, high in [(BEGIN + h * MS_PER_HOUR, BEGIN + (h + 1) * MS_PER_HOUR) for h in range(HOURS * 2)]
        ),
        Fraction(0),
    )  # fmt: skip
    credited = -found.get(Category.CREDIT, (0, Fraction(0), Fraction(0)))[1]
    assert 0 <= credited <= worth / 2
