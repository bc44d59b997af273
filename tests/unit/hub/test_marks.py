"""What objects say of money is said once in the ledger, before the lines that need it, and in its order after an absence."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from sublet.api.gpulease import InventoryStatus
from sublet.api.last_word import LostStatus
from sublet.api.times import Millis, parse_instant
from sublet.book.plan import plan
from sublet.hub import marks
from sublet.hub.marks import Marks
from sublet.hub.meter import ClaimMeter
from sublet.hub.state import HubState
from sublet.ledger.entry import EntryKind, Fact
from sublet.ledger.past import Past
from sublet.ledger.port import LedgerUnavailable
from sublet.ledger.terms import content_hash
from sublet.ledger.texts.lease import LeaseTerms
from sublet.ledger.texts.offer import ClassTerms
from sublet.ledger.texts.tenant import TenantTerms
from sublet.rating.books import Books
from tests.builders.api import CREATED, NOW, as_claim, as_class, as_lease, as_tenant, lease
from tests.builders.fleet import bound, carried_out, reserve_of, view
from tests.builders.moves import leased
from tests.harness.fake_api import SteppedClock
from tests.unit.hub.test_meter import Book

WEST = leased("west")[0]


class Store(Book):
    """A ledger in memory with its texts, which may be away."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: dict[str, str] = {}
        self.is_away = False
        self.past: Past | None = None

    async def append(self, facts, terms, records=(), past=None):
        if self.is_away:
            raise LedgerUnavailable("away")
        self.texts |= terms
        self.past = past
        return await super().append(facts, terms, records)

    async def facts_of(self, claim_uids):
        if self.is_away:
            raise LedgerUnavailable("away")
        return [e.fact for e in self.entries if e.fact.claim_uid in claim_uids]

    async def read_terms(self, hashes):
        return {h: self.texts[h] for h in hashes if h in self.texts}

    @property
    def facts(self) -> list[Fact]:
        return [e.fact for e in self.entries]


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def state() -> HubState:
    found = HubState(lambda: None)
    found.leases.put(WEST)
    found.classes.put(as_class())
    found.tenants.put(as_tenant())
    return found


def changed(each: Any, version: str, generation: int | None = None, **spec: Any) -> Any:
    """Return an object as it is once its spec was changed, or only written."""
    meta = each.metadata.model_copy(
        update={"resource_version": version, "generation": generation or each.metadata.generation}
    )
    return each.model_copy(update={"metadata": meta, "spec": each.spec.model_copy(update=spec)})


def counted(version: str, generation: int, healthy: int, at_ms: int) -> Any:
    counts = InventoryStatus(generation=generation, healthy=healthy, changed_time=Millis(at_ms))
    status = WEST.status.model_copy(update={"inventory": counts})
    return changed(WEST, version).model_copy(update={"status": status})


def marks_of(
    store: Store,
    state: HubState,
    now_ms: int = NOW,
    is_read: Callable[[], bool] = lambda: True,
) -> Marks:
    """Return the marks of an operator that has just started; `is_read`: it has read the lease's nodes."""
    clock = SteppedClock()
    clock.seconds = now_ms / 1_000
    return Marks(store, state, clock, lambda _: is_read())


async def written(store: Store, state: HubState) -> Marks:
    found = marks_of(store, state)
    found.look()
    await found.write()
    return found


async def test_each_object_is_said_with_its_terms_at_its_creation(store, state):
    await written(store, state)

    texts = {
        WEST.metadata.uid: LeaseTerms.of(WEST),
        as_class().metadata.uid: ClassTerms.of(as_class()),
        as_tenant().metadata.uid: TenantTerms.of(as_tenant()),
    }
    assert {f.claim_uid: f.price_hash for f in store.facts} == {u: t.hash for u, t in texts.items()}
    assert store.texts == {t.hash: t.text for t in texts.values()}
    assert {(f.sequence, f.at_ms) for f in store.facts} == {(1, parse_instant(CREATED))}
    books = Books.of(store.entries, store.texts)
    assert (len(books.leases), len(books.classes), len(books.tenants)) == (1, 1, 1)


async def test_what_was_said_isnt_said_again_by_this_operator_or_the_next(store, state):
    first = await written(store, state)
    assert not first.look()
    await written(store, state)

    assert len(store.facts) == 3


async def test_a_spec_that_says_the_same_of_money_needs_no_new_line_also_after_a_restart(
    store, state
):
    first = await written(store, state)
    state.leases.put(changed(WEST, "7", 2, accepting_claims=False))
    assert not first.look()
    await written(store, state)

    assert len(store.facts) == 3


async def test_a_spec_that_says_something_else_is_a_line_of_its_generation(store, state):
    first = await written(store, state)
    state.leases.put(changed(WEST, "7", 2, provider="other"))
    first.look()
    await first.write()

    assert (store.facts[-1].claim_uid, store.facts[-1].sequence) == (WEST.metadata.uid, 2)


def dated(store: Store) -> list[tuple[str, int]]:
    """Return what the ledger says of the landlord's name, and from when."""
    mine = [f for f in store.facts if f.claim_uid == WEST.metadata.uid]
    return [(LeaseTerms.read(store.texts[f.price_hash]).provider, f.at_ms) for f in mine]


async def test_what_a_lease_says_otherwise_holds_from_when_it_was_seen_also_if_it_is_written_later(
    store, state
):
    await written(store, state)
    clock = SteppedClock()
    clock.seconds = (NOW + 5) / 1_000
    found = Marks(store, state, clock, lambda _: True)
    state.leases.put(changed(WEST, "7", 2, provider="other"))
    store.is_away = True
    assert found.look()
    with pytest.raises(LedgerUnavailable):
        await found.write()
    store.is_away = False
    clock.seconds += 60
    await found.write()

    first = (WEST.spec.provider, parse_instant(CREATED))
    assert dated(store) == [first, ("other", NOW + 5)]
    assert Books.of(store.entries, store.texts).contracts[WEST.metadata.uid][1].from_ms == NOW + 5


async def test_a_lease_that_is_seen_first_long_after_it_was_made_holds_from_its_creation(
    store, state
):
    found = marks_of(store, state, now_ms=NOW + 5)
    found.look()
    await found.write()

    assert dated(store) == [(WEST.spec.provider, parse_instant(CREATED))]


async def test_a_clock_that_is_behind_takes_back_nothing_that_a_lease_said_first(store, state):
    await written(store, state)
    found = marks_of(store, state, now_ms=0)
    state.leases.put(changed(WEST, "7", 2, provider="other"))
    found.look()
    await found.write()

    assert dated(store)[1] == ("other", parse_instant(CREATED) + 1)


async def test_a_newer_version_of_the_program_never_contradicts_what_an_older_one_wrote(
    store, state
):
    await written(store, state)
    store.entries = [
        replace(e, fact=replace(e.fact, price_hash=as_before(store, e.fact.price_hash)))
        for e in store.entries
    ]
    before = list(store.entries)
    await written(store, state)

    assert store.entries == before


def as_before(store: Store, price_hash: str) -> str:
    """Keep a text as an older version wrote it, that didn't know how tenants and landlords are billed; return its hash."""
    fields = json.loads(store.texts[price_hash])
    fields.pop("billing", None)
    text = json.dumps({**fields, "sinceDropped": "by the new one"}, sort_keys=True)
    store.texts[content_hash(text)] = text
    return content_hash(text)


def levels(store: Store) -> list[tuple[int, int]]:
    return [(f.gpus, f.at_ms) for f in store.facts if f.kind is EntryKind.CAPACITY]


async def test_how_many_gpus_can_be_used_is_said_when_it_changes(store, state):
    found = await written(store, state)
    for version, healthy in enumerate((16, 16, 8), 2):
        state.leases.put(counted(str(version), version, healthy, NOW + version))
        found.look()
        await found.write()

    assert levels(store) == [(16, NOW + 2), (8, NOW + 4)]


async def test_changes_while_the_store_is_away_are_all_written_in_their_order(store, state):
    found = await written(store, state)
    store.is_away = True
    for version, healthy in enumerate((16, 8, 0, 16), 2):
        state.leases.put(counted(str(version), version, healthy, NOW + version))
        assert found.look()
        with pytest.raises(LedgerUnavailable):
            await found.write()
    store.is_away = False
    await found.write()

    assert levels(store) == [(16, NOW + 2), (8, NOW + 3), (0, NOW + 4), (16, NOW + 5)]
    assert not found.look()


async def test_of_more_changes_than_are_kept_the_oldest_levels_are_lost_and_never_terms(
    store, state, monkeypatch
):
    monkeypatch.setattr(marks, "MOST_WAITING", 3)
    found = marks_of(store, state)
    for version in range(2, 9):
        state.leases.put(counted(str(version), version, version, NOW + version))
        found.look()
    await found.write()

    assert levels(store) == [(7, NOW + 7), (8, NOW + 8)]
    assert next(f.kind for f in store.facts if f.claim_uid == WEST.metadata.uid) is EntryKind.TERMS


async def test_an_object_that_is_gone_is_forgotten_once_all_of_it_is_written(store, state):
    found = marks_of(store, state)
    found.look()
    state.leases.drop(WEST.metadata.uid)
    assert found.look()
    await found.write()

    assert WEST.metadata.uid in {f.claim_uid for f in store.facts}
    assert not found.look()


async def test_a_claims_lines_come_after_what_its_lease_its_class_and_its_tenant_say(store, state):
    seen = view([as_claim()], [leased("west")])
    train = bound(carried_out(seen.claims[0], reserve_of(plan(seen), seen.claims[0])))
    await ClaimMeter(store, marks_of(store, state)).settle(train)

    assert [f.kind.value for f in store.facts] == ["terms"] * 4 + ["bound"]
    books = Books.of(store.entries, store.texts)
    (agreed,) = books.reservations.values()
    assert (agreed.name, agreed.class_uid) == ("train", as_class().metadata.uid)


async def test_while_the_store_is_away_neither_is_written_and_both_are_afterwards(store, state):
    seen = view([as_claim()], [leased("west")])
    train = bound(carried_out(seen.claims[0], reserve_of(plan(seen), seen.claims[0])))
    meter = ClaimMeter(store, marks_of(store, state))
    store.is_away = True
    with pytest.raises(LedgerUnavailable):
        await meter.settle(train)
    store.is_away = False
    await meter.settle(train)

    assert len(store.facts) == 5


async def test_a_moved_claims_lines_come_with_when_a_lease_was_lost(store, state):
    word = LostStatus(by="ann", time=NOW, meter_time=Millis(NOW - 5))
    lost = WEST.model_copy(update={"status": WEST.status.model_copy(update={"lost": word})})
    state.leases.put(changed(lost, "2"))
    seen = view([as_claim()], [leased("west")])
    train = bound(carried_out(seen.claims[0], reserve_of(plan(seen), seen.claims[0])))
    moved = train.status.allocation.model_copy(update={"sequence": 2, "since_time": NOW - 9})
    status = train.status.model_copy(update={"allocation": moved})
    await ClaimMeter(store, marks_of(store, state)).settle(
        train.model_copy(update={"status": status})
    )

    worked = {WEST.metadata.uid: NOW - 5}
    assert store.past == Past(train.metadata.uid, 2, NOW - 9, NOW, used_ms=0, lost=worked)


async def test_a_claim_whose_lease_is_gone_is_billed_all_the_same(store):
    seen = view([as_claim()], [leased("west")])
    train = bound(carried_out(seen.claims[0], reserve_of(plan(seen), seen.claims[0])))
    await ClaimMeter(store, marks_of(store, HubState(lambda: None))).settle(train)

    assert [f.kind.value for f in store.facts] == ["terms", "bound"]


def test_a_lease_that_says_the_same_in_another_order_gives_the_same_text():
    prices = [
        {"effectiveTime": "2026-01-01T00:00:00Z", "perGpuHour": "2.35"},
        {"effectiveTime": "2027-01-01T00:00:00Z", "perGpuHour": "2.00"},
    ]
    one, other = (as_lease(lease(prices=p)) for p in (prices, prices[::-1]))

    assert LeaseTerms.of(one).text == LeaseTerms.of(other).text
