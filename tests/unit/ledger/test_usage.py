"""The bill against a closed form: error 0, whatever the order and however often facts are reported."""

from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from sublet.api.ids import ClaimUID, LeaseUID, TenantUID
from sublet.api.times import MS_PER_HOUR, Millis
from sublet.ledger.chain import verify
from sublet.ledger.entry import GENESIS_HASH, Entry, EntryKind, EntryType, Fact
from sublet.ledger.interval import BrokenLedger, intervals
from sublet.ledger.terms import PriceTerms, parse_price
from sublet.ledger.usage import By, rounded, usage

PRICE = PriceTerms(Decimal("3.99"), "USD")


def fact(
    claim: str,
    type_: EntryType,
    at_ms: int,
    *,
    gpus: int = 8,
    lease: str = "west",
    kind: EntryKind = EntryKind.BOUND,
    sequence: int = 1,
) -> Fact:
    return Fact(
        ClaimUID(claim),
        sequence,
        TenantUID("acme"),
        LeaseUID(lease),
        kind,
        type_,
        gpus,
        Millis(at_ms),
        PRICE.hash,
        "tags",
        "1",
    )


def chain(facts: list[Fact]) -> list[Entry]:
    entries: list[Entry] = []
    for seq, each in enumerate(facts, 1):
        entries.append(Entry(seq, each, entries[-1].hash if entries else GENESIS_HASH))
    return entries


histories = st.lists(
    st.tuples(
        st.integers(1, 64),
        st.integers(0, 10**9),
        st.integers(0, 10**9),
        st.sampled_from(["west", "east"]),
        st.booleans(),
    ),
    max_size=12,
)


@given(histories, st.integers(0, 2 * 10**9), st.integers(0, 2 * 10**9))
def test_usage_is_the_integral_to_the_millisecond(history, first, second):
    from_ms, to_ms = Millis(min(first, second)), Millis(max(first, second))
    facts, expected = [], 0
    for index, (gpus, start, length, lease, is_open) in enumerate(history):
        facts.append(fact(f"c{index}", EntryType.OPEN, start, gpus=gpus, lease=lease))
        if not is_open:
            facts.append(fact(f"c{index}", EntryType.CLOSE, start + length, gpus=gpus, lease=lease))
        end = to_ms if is_open else min(to_ms, start + length)
        expected += gpus * max(0, end - max(from_ms, start))

    for by in By:
        lines = usage(intervals(facts), {PRICE.hash: PRICE}, by=by, from_ms=from_ms, to_ms=to_ms)
        assert sum(line.gpu_milliseconds for line in lines) == expected


@given(st.lists(st.integers(0, 10**12), min_size=2, max_size=8, unique=True))
def test_usage_of_adjacent_windows_adds_up(cuts):
    facts = [fact("a", EntryType.OPEN, 0)]
    edges = sorted(cuts)

    def total(start: int, end: int) -> int:
        lines = usage(
            intervals(facts),
            {PRICE.hash: PRICE},
            by=By.CLAIM,
            from_ms=Millis(start),
            to_ms=Millis(end),
        )
        return sum(line.gpu_milliseconds for line in lines)

    assert sum(total(a, b) for a, b in pairwise(edges)) == total(edges[0], edges[-1])


def test_a_charge_is_divided_once_and_rounded_half_to_even_only_when_shown():
    facts = [
        fact("a", EntryType.OPEN, 0, gpus=1),
        fact("a", EntryType.CLOSE, MS_PER_HOUR // 3, gpus=1),
    ]

    (line,) = usage(
        intervals(facts),
        {PRICE.hash: PRICE},
        by=By.TENANT,
        from_ms=Millis(0),
        to_ms=Millis(MS_PER_HOUR),
    )

    assert line.charges == {"USD": Decimal("1.33")}
    assert rounded(Decimal("0.125")) == Decimal("0.12")


def test_what_is_taken_back_is_counted_and_not_charged():
    facts = [fact("a", EntryType.OPEN, 0, kind=EntryKind.RELEASING)]

    (line,) = usage(intervals(facts), {}, by=By.CLAIM, from_ms=Millis(0), to_ms=Millis(10))

    assert (line.gpu_milliseconds, line.charges) == (80, {})


@pytest.mark.parametrize(
    "facts",
    [
        [fact("a", EntryType.CLOSE, 5)],
        [fact("a", EntryType.OPEN, 5), fact("a", EntryType.OPEN, 6)],
        [fact("a", EntryType.OPEN, 5), fact("a", EntryType.CLOSE, 4)],
    ],
    ids=["a close without open", "opened twice", "ends before it begins"],
)
def test_what_no_history_can_give_is_refused(facts):
    with pytest.raises(BrokenLedger):
        list(intervals(facts))


def test_a_chain_proves_itself():
    proof = verify(chain([fact("a", EntryType.OPEN, 1), fact("a", EntryType.CLOSE, 2)]))

    assert (proof.entries, proof.fault) == (2, None)


@pytest.mark.parametrize("tamper", ["change", "drop", "swap"])
def test_a_line_that_is_changed_dropped_or_moved_is_found(tamper):
    entries = chain(
        [fact(c, t, at) for c in "abc" for t, at in ((EntryType.OPEN, 1), (EntryType.CLOSE, 9))]
    )
    if tamper == "change":
        entries[2] = Entry(3, fact("b", EntryType.OPEN, 0), entries[2].previous_hash)
    elif tamper == "drop":
        del entries[2]
    else:
        entries[1], entries[2] = entries[2], entries[1]

    assert verify(entries).fault is not None


@given(st.decimals(min_value=0, max_value=10**6, places=6))
def test_a_price_survives_its_stored_text(amount):
    assert parse_price(PriceTerms(amount, "EUR").text).per_gpu_hour == amount


def test_the_same_price_has_the_same_hash_however_it_is_written():
    assert PriceTerms(Decimal("2.50"), "USD").hash == PriceTerms(Decimal("2.5"), "USD").hash
