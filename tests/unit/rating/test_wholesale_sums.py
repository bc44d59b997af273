"""Any interleaving of phases, marks, binds, moves, prices, maintenance and grids against a sum over single milliseconds."""

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

from hypothesis import given, strategies as st

from sublet.api.billing import Cut
from sublet.api.times import MS_PER_HOUR, Millis, format_instant, parse_instant
from sublet.ledger.entry import EntryKind
from sublet.rating.calendar import Span, day_at
from sublet.rating.grid import Grid
from sublet.rating.model import LeaseState
from sublet.rating.sla import incidents_of
from sublet.rating.wholesale import cells_of, purchases_of
from tests.builders.wholesale import Scribe

MIDNIGHT = parse_instant("2026-10-24T22:00:00Z")
"""Midnight in Madrid, an hour of UTC too; all that happens does so in the 60 milliseconds around it."""
LENGTH = 60
BEGIN = Millis(MIDNIGHT - LENGTH // 2)
CUT = Cut(time_zone="Europe/Madrid")
S = LeaseState

instants = st.sampled_from(range(0, LENGTH + 1, 10)) | st.integers(0, LENGTH)
"""Every tenth millisecond often, so that things happen together."""
gpus = st.integers(0, 9)
prices = st.sampled_from(["0", "1.5", "2.000001", "7"])


@dataclass(frozen=True)
class World:
    """One lease and all that happened to it, in milliseconds from BEGIN on."""

    term: tuple[int, int | None]
    mode: str
    phases: dict[int, int]
    options: dict[int, tuple[int, bool]]
    prices: dict[int, tuple[str, str | None, str | None]]
    maintenance: dict[int, tuple[int, int | None]]
    marks: list[tuple[int, int]]
    binds: list[tuple[int, list[tuple[int, int, int | None]]]]
    """For each claim its reservations: (GPUs, beginning, end)."""
    downs: list[tuple[int, int, int | None]]


@st.composite
def stretches(draw: st.DrawFn) -> tuple[int, int, int | None]:
    begin, end = sorted((draw(instants), draw(instants)))
    return draw(st.integers(1, 9)), begin, draw(st.sampled_from([end, end, None]))


@st.composite
def claims(draw: st.DrawFn) -> list[tuple[int, int, int | None]]:
    """Return reservations that follow each other: each move begins where the one before it ended, or later."""
    edges = sorted(draw(st.lists(instants, min_size=2, max_size=5)))
    return [
        (draw(st.integers(1, 9)), begin, None if end == edges[-1] and draw(st.booleans()) else end)
        for begin, end in pairwise(edges)
        if begin < end and draw(st.integers(0, 3))
    ]


worlds = st.builds(
    World,
    term=st.tuples(st.integers(0, 20), st.none() | st.integers(21, LENGTH)),
    mode=st.sampled_from(["TakeOrPay", "PayAsYouGo"]),
    phases=st.dictionaries(instants, gpus, min_size=1, max_size=4),
    options=st.dictionaries(instants, st.tuples(st.integers(1, 5), st.booleans()), max_size=3),
    prices=st.dictionaries(
        instants, st.tuples(prices, st.none() | prices, st.none() | prices), min_size=1, max_size=3
    ),
    maintenance=st.dictionaries(
        instants, st.tuples(st.integers(1, 30), st.none() | st.integers(1, 5)), max_size=3
    ),
    marks=st.lists(st.tuples(instants, st.integers(0, 9)), max_size=5),
    binds=st.lists(claims(), max_size=5).map(lambda found: list(enumerate(found))),
    downs=st.lists(stretches(), max_size=3),
)


def text(offset: int) -> str:
    return format_instant(Millis(BEGIN + offset))


def written(world: World) -> Scribe:
    scribe, (begin, end) = Scribe(), world.term
    scribe.lease(
        "west",
        end=text(end) if end is not None else None,
        term={"startTime": text(begin)},
        commitment={
            "mode": world.mode,
            "phases": [
                {"commitmentId": f"p{at}", "startTime": text(at), "gpus": n}
                for at, n in world.phases.items()
            ],
            "options": [
                {"exerciseByTime": text(0), "startTime": text(at), "gpus": n, "exercised": taken}
                for at, (n, taken) in world.options.items()
            ],
        },
        prices=[
            {"effectiveTime": text(at), "perGpuHour": own}
            | ({"holdingPerGpuHour": holding} if holding is not None else {})
            | ({"overagePerGpuHour": over} if over is not None else {})
            for at, (own, holding, over) in world.prices.items()
        ],
        maintenance=[
            {"startTime": text(at), "endTime": text(at + lasts)} | ({"gpus": n} if n else {})
            for at, (lasts, n) in world.maintenance.items()
        ],
        billing={"timeZone": CUT.time_zone},
        sla={"creditPercent": 50, "maxPercent": 100, "claimWithinDays": 30},
    )
    for generation, (at, n) in enumerate(world.marks):
        scribe.capacity("west", BEGIN + at, n, generation)
    for claim, reservations in world.binds:
        for sequence, (n, begins, ends) in enumerate(reservations, 1):
            until = None if ends is None else BEGIN + ends
            scribe.held(f"c{claim}", "west", n, BEGIN + begins, until, sequence=sequence)
    for claim, (n, begins, ends) in enumerate(world.downs):
        until = None if ends is None else BEGIN + ends
        scribe.held(f"d{claim}", "west", n, BEGIN + begins, until, kind=EntryKind.DOWNTIME)
    return scribe


def covers(at: int, begin: int, end: int | None) -> bool:
    return begin <= at and (end is None or at < end)


@dataclass(frozen=True)
class Instant:
    """One millisecond, as anybody would count it."""

    phase: str
    committed: int
    gpus: dict[LeaseState, int]
    price: dict[LeaseState, Decimal]
    lost: int
    own: Decimal


def counted(world: World, at: int) -> Instant:
    begun = [p for p in world.phases if p <= at]
    runs = covers(at, *world.term)
    committed = (world.phases[max(begun)] if begun else 0) * runs + sum(
        n for begins, (n, taken) in world.options.items() if taken and begins <= at and runs
    )
    bound = sum(n for _, rs in world.binds for n, b, e in rs if covers(at, b, e))
    down = sum(n for n, b, e in world.downs if covers(at, b, e))
    marked = sorted((t, g, n) for g, (t, n) in enumerate(world.marks) if t <= at)
    there = marked[-1][2] if marked else committed
    away = sum(
        10**9 if n is None else n
        for begins, (lasts, n) in world.maintenance.items()
        if begins <= at < begins + lasts
    )
    used = beyond = unavailable = unused = 0
    there_for_us = max(0, min(there, max(there, committed) - away))
    for place in range(max(committed, bound)):  # GPU by GPU: the bound ones stand in front
        works = place >= min(down, bound)  # and of those the ones that are down
        takes = there_for_us > 0 and works
        there_for_us -= takes
        if place < bound:
            used, beyond = (used + 1, beyond) if place < committed else (used, beyond + 1)
        else:
            unused, unavailable = (unused + 1, unavailable) if takes else (unused, unavailable + 1)
    dated = [p for p in world.prices if p <= at]
    own, holding, over = world.prices[max(dated) if dated else min(world.prices)]
    idle = holding if holding is not None else own if world.mode == "TakeOrPay" else "0"
    missing = committed - there if marked else 0
    return Instant(
        phase=f"p{max(begun)}" if begun and runs else "",
        committed=committed,
        gpus={S.USED: used, S.UNUSED: unused, S.UNAVAILABLE: unavailable, S.BEYOND: beyond},
        price={
            S.USED: Decimal(own),
            S.UNUSED: Decimal(idle),
            S.UNAVAILABLE: Decimal(idle),
            S.BEYOND: Decimal(own if over is None else over),
        },
        lost=max(0, max(missing, down) - away),
        own=Decimal(own),
    )


def cell_begin(grid: Grid, at: int) -> object:
    if grid is Grid.HOUR:
        return (BEGIN + at) // MS_PER_HOUR
    return day_at(CUT, Millis(BEGIN + at)) if grid is Grid.DAY else None


spans = st.just([0, LENGTH]) | st.tuples(instants, instants).map(sorted)


@given(worlds, st.sampled_from(Grid), spans, st.just(LENGTH) | st.integers(0, LENGTH + 5))
def test_every_cell_is_the_sum_of_its_milliseconds(world, grid, asked, as_of):
    begin, end = asked
    expected: dict[object, int] = defaultdict(int)
    for at in range(begin, min(end, as_of)):
        each = counted(world, at)
        for state, n in each.gpus.items():
            expected[cell_begin(grid, at), each.phase, state, each.price[state]] += n

    found: dict[object, int] = defaultdict(int)
    asked_span = Span(Millis(BEGIN + begin), Millis(BEGIN + end))
    for cell in cells_of(written(world).books(), "west", asked_span, grid, BEGIN + as_of):
        cell_at = cell_begin(grid, cell.from_ms - BEGIN)
        assert cell_at == cell_begin(grid, cell.to_ms - 1 - BEGIN)
        found[cell_at, cell.commitment_id, cell.state, cell.price] += cell.gpu_milliseconds
        assert cell.amount == Fraction(cell.gpu_milliseconds) * Fraction(cell.price) / MS_PER_HOUR
    assert found == {key: n for key, n in expected.items() if n}


@given(worlds, st.sampled_from(Grid))
def test_used_unused_and_unavailable_are_the_commitment_in_every_cell(world, grid):
    found: dict[tuple[int, int], int] = defaultdict(int)
    whole = Span(BEGIN, Millis(BEGIN + LENGTH))
    for cell in cells_of(written(world).books(), "west", whole, grid, whole.to_ms):
        if cell.state is not S.BEYOND:
            found[cell.from_ms - BEGIN, cell.to_ms - BEGIN] += cell.gpu_milliseconds
    for (begin, end), quantity in found.items():
        assert quantity == sum(counted(world, at).committed for at in range(begin, end))
    assert sum(found.values()) == sum(counted(world, at).committed for at in range(LENGTH))


@given(worlds, st.sampled_from(Grid), instants)
def test_the_cells_of_any_grid_and_of_any_two_parts_add_up_to_the_whole(world, grid, middle):
    books, end = written(world).books(), Millis(BEGIN + LENGTH)

    def sums(grid_, *parts):
        found: dict[object, list[Fraction | int]] = defaultdict(lambda: [0, Fraction(0)])
        for part in parts:
            for cell in cells_of(books, "west", part, grid_, end):
                total = found[cell.commitment_id, cell.state]
                total[0] += cell.gpu_milliseconds
                total[1] += cell.amount
        return found

    cut = Millis(BEGIN + middle)
    assert sums(grid, Span(BEGIN, cut), Span(cut, end)) == sums(Grid.NONE, Span(BEGIN, end))


@given(worlds, st.sampled_from(Grid))
def test_what_is_bought_costs_what_the_commitment_costs(world, grid):
    books, whole = written(world).books(), Span(BEGIN, Millis(BEGIN + LENGTH))
    cost: dict[object, Fraction] = defaultdict(Fraction)
    for cell in cells_of(books, "west", whole, grid, whole.to_ms):
        if cell.state is not S.BEYOND:
            cost[cell.commitment_id, cell.from_ms, cell.to_ms] += cell.amount
    bought: dict[object, Fraction] = defaultdict(Fraction)
    for each in purchases_of(books, "west", whole, grid, whole.to_ms):
        bought[each.commitment_id, each.from_ms, each.to_ms] += each.amount
    assert {k: v for k, v in bought.items() if v} == {k: v for k, v in cost.items() if v}


@given(worlds, st.integers(1, LENGTH))
def test_incidents_are_the_milliseconds_in_which_gpus_were_lost(world, as_of):
    whole = Span(BEGIN, Millis(BEGIN + LENGTH))
    lost = [counted(world, at) for at in range(as_of)]
    runs, last = [], None
    for at, each in enumerate(lost):
        if each.lost and last == at - 1:
            runs[-1].append(at)
        elif each.lost:
            runs.append([at])
        last = at if each.lost else last

    found = incidents_of(written(world).books(), "west", whole, Millis(BEGIN + as_of))
    assert [(x.from_ms - BEGIN, x.to_ms - BEGIN) for x in found] == [
        (run[0], run[-1] + 1) for run in runs
    ]
    for incident, run in zip(found, runs, strict=True):
        assert incident.gpu_milliseconds == sum(lost[at].lost for at in run)
        gross = sum(
            (lost[at].lost * Fraction(lost[at].own) / 2 / MS_PER_HOUR for at in run), Fraction(0)
        )
        assert sum((s.gross for s in incident.shares), Fraction(0)) == gross
        assert incident.amount <= gross
