"""Whatever is known when, closed bills with their corrections and the open ones come to what rating all of it once does."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction

from hypothesis import given, strategies as st

from sublet.api.billing import TenantBilling
from sublet.api.ids import ClaimUID
from sublet.api.times import MS_PER_HOUR, Millis
from sublet.ledger.entry import EntryKind
from sublet.rating.calendar import Span, month_span
from sublet.rating.charges import charges
from sublet.rating.grid import Grid
from sublet.rating.model import Category, Charge
from sublet.rating.periods import bill, closed_periods, due_to_close, first_month
from tests.builders.billing import Journal
from tests.builders.wholesale import at

BEGIN = at("2026-08-31T15:00:00Z")
DAYS = 90
MS_PER_DAY = 24 * MS_PER_HOUR
MONTHS = ("2026-08", "2026-09", "2026-10", "2026-11", "2026-12")
LOOKS = [at(f"2026-{month:02d}-06T00:00:00Z") for month in (9, 10, 11)]
"""When months that are due are closed; November is over and still open."""
NOW = at("2026-12-06T00:00:00Z")
BILLING = TenantBilling(time_zone="Europe/Madrid", day_cut_hour=17)
EDGES = [month_span(BILLING, month).from_ms for month in MONTHS]
"""Where months begin."""
ALL_TIME = Span(at("2026-07-01T00:00:00Z"), NOW)
Sums = dict[tuple[ClaimUID, Category], tuple[int, Fraction, Fraction]]


@dataclass(frozen=True)
class Told:
    """A line of the ledger, and when it comes."""

    when_ms: int
    write: Callable[[Journal], None]


@st.composite
def stories(draw: st.DrawFn) -> list[Told]:
    """Draw claims of three months that end, are moved and stand still, of which the ledger hears at once or weeks later."""
    found = [Told(BEGIN - 1, _terms)]
    for number in range(draw(st.integers(1, 3))):
        claim, begin = f"c{number}", BEGIN + draw(st.integers(0, 40 * MS_PER_DAY))
        heard = begin + _late(draw)  # nobody wrote anything of it before
        rounding = draw(
            st.sampled_from([None, {"roundUpToSeconds": 3_600, "minimumSeconds": 7_200}])
        )
        for sequence in range(1, draw(st.integers(1, 3)) + 1):
            end = _end(draw, begin)
            gpus, price = draw(st.integers(1, 8)), draw(st.sampled_from(["2.00", "1.111111"]))
            floats = draw(st.booleans())
            how = {"gpus": gpus, "price": price, "sequence": sequence}
            found.append(Told(max(begin, heard), _begun(claim, begin, rounding, floats, how)))
            found.append(Told(max(end + _late(draw), heard), _ended(claim, end, sequence)))
            if draw(st.booleans()):
                down = begin + draw(st.integers(0, end - begin - 1))
                up = draw(st.integers(down + 1, end))
                found.append(Told(max(up + _late(draw), heard), _down(claim, down, up, how)))
            begin = end + draw(st.sampled_from([0, 0, MS_PER_HOUR]))
    if draw(st.booleans()):
        month = draw(st.sampled_from(MONTHS[1:4]))
        when = draw(st.integers(BEGIN + DAYS * MS_PER_DAY, NOW - 1))
        found.append(Told(when, lambda journal: journal.adjusted(Millis(when), month, "-7.31")))
    return found


def _end(draw: st.DrawFn, begin: int) -> int:
    """Draw when something ends that began then: at any instant, or with a month."""
    with_a_month = [st.just(at_ms) for at_ms in EDGES if at_ms > begin]
    return draw(st.one_of(st.integers(begin + 1, begin + 40 * MS_PER_DAY), *with_a_month))


def _late(draw: st.DrawFn) -> int:
    return draw(st.sampled_from([0, 0, 5, 20, 45, 75])) * MS_PER_DAY


def _terms(journal: Journal) -> None:
    journal.tenant(
        billing=BILLING,
        discounts=[{"effectiveTime": BEGIN + 20 * MS_PER_DAY, "percent": 25}],
    )
    journal.offer("h100", ("2.00", 0), ("3.37", BEGIN + 50 * MS_PER_DAY))


def _begun(
    claim: str, begin: int, rounding: dict[str, int] | None, floats: bool, how: dict[str, object]
) -> Callable[[Journal], None]:
    def write(journal: Journal) -> None:
        sla = {"graceSeconds": 3_600, "creditPercent": 150, "maxPercent": 60}
        journal.reserved(claim, sequence=how["sequence"], floats=floats, rounding=rounding, sla=sla)
        journal.begins(claim, Millis(begin), **how)

    return write


def _ended(claim: str, end: int, sequence: int) -> Callable[[Journal], None]:
    return lambda journal: journal.ends(claim, Millis(end), sequence=sequence)


def _down(claim: str, begin: int, end: int, how: dict[str, object]) -> Callable[[Journal], None]:
    return lambda journal: journal.held(
        claim, Millis(begin), Millis(end), kind=EntryKind.DOWNTIME, **how | {"gpus": 1}
    )


def told(story: Iterable[Told]) -> Journal:
    """Return the ledger of a story up to now, in which months were closed when they were due."""
    looks = [Told(when, _closing(Millis(when))) for when in LOOKS]
    journal = Journal()
    for each in sorted([*story, *looks], key=lambda x: x.when_ms):
        if each.when_ms < NOW:
            each.write(journal)
    return journal


def _closing(when: Millis) -> Callable[[Journal], None]:
    def write(journal: Journal) -> None:
        while due := due_to_close(journal.tenancy(), when, after_days=3):
            journal.closed(due[0], when)

    return write


def sums(given_: Iterable[Charge]) -> Sums:
    found: Sums = defaultdict(lambda: (0, Fraction(0), Fraction(0)))
    for c in given_:
        quantity, amount, listed = found[c.claim_uid, c.category]
        found[c.claim_uid, c.category] = (
            quantity + c.gpu_milliseconds, amount + c.amount, listed + c.list_amount,
        )  # fmt: skip
    return {key: value for key, value in found.items() if any(value)}


@given(stories())
def test_bills_of_all_months_are_what_rating_all_time_at_once_gives(story: list[Told]):
    journal = told(story)
    books, tenancy = journal.books(), journal.tenancy()
    # what is earlier than the first month that was closed is corrected with it; whose claims never lasted has none
    first = min(closed_periods(books, tenancy.tenant_uid), default=first_month(tenancy))

    months = [m for m in MONTHS if first is not None and m >= first]
    billed = [c for month in months for c in bill(books, tenancy, month, NOW).charges]
    assert sums(billed) == sums(charges(tenancy, ALL_TIME, Grid.NONE, NOW))
