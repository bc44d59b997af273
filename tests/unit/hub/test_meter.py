"""A claim's recorded state gives its lines, and the same state always the same ones."""

from sublet.api import claim_status
from sublet.api.downtime import Downtime, DowntimeCause
from sublet.api.gpuclaim import GpuClaim
from sublet.api.outage import Outage
from sublet.api.relocation import ReleaseCause
from sublet.api.times import Millis
from sublet.hub.meter import ClaimMeter, facts_of, needs_meter, texts_of
from sublet.ledger.chain import verify
from sublet.ledger.entry import BILLED, GENESIS_HASH, Entry, EntryKind
from sublet.ledger.interval import intervals
from sublet.ledger.texts.evidence import Evidence
from tests.builders.api import NOW, as_claim, with_status
from tests.builders.edges import edges_of
from tests.unit.api.test_claim_status import LATER, bound, releasing, reserved


class Book:
    """A ledger in memory."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    async def intend_bound(self, claim_uid, sequence, at_ms, *, anew=False):
        return at_ms

    async def was_intended(self, claim_uid, sequence):
        return False

    async def append(self, facts, terms, records=(), past=None):
        known = {e.fact.id for e in self.entries}
        new = [f for f in facts if f.id not in known]
        for fact in new:
            head = self.entries[-1].hash if self.entries else GENESIS_HASH
            self.entries.append(Entry(len(self.entries) + 1, fact, head))
        return len(new)


def done(cause: ReleaseCause = ReleaseCause.DELETED) -> GpuClaim:
    claim = releasing(cause)
    return with_status(claim, claim_status.released(claim, LATER))


def kinds(claim: GpuClaim) -> list[tuple[str, str, int]]:
    return [(f.kind.value, f.type.value, f.at_ms) for f in edges_of(claim)]


def test_a_claim_that_isnt_bound_has_no_lines():
    assert facts_of(as_claim()) == []
    assert facts_of(reserved()) == []


def test_a_bound_claim_opens_at_its_bound_time():
    assert kinds(bound()) == [("bound", "open", NOW)]


def test_a_releasing_claim_stops_the_tenants_meter_and_goes_on_holding():
    assert kinds(releasing())[1:] == [("bound", "close", NOW), ("releasing", "open", NOW)]


def test_a_released_claim_closes_everything_at_recorded_instants():
    assert kinds(done())[-1] == ("releasing", "close", LATER)


def test_a_claim_released_before_it_was_bound_was_only_held():
    claim = reserved()
    release = releasing().status.release
    going = with_status(claim, claim_status.releasing(claim, release, NOW))

    assert kinds(going) == [("releasing", "open", NOW)]


def test_lines_of_a_release_are_asked_for_until_they_are_written_however_it_began():
    release = releasing().status.release
    gone = with_status(reserved(), claim_status.releasing(reserved(), release, NOW))
    free = with_status(gone, claim_status.released(gone, LATER))

    assert facts_of(free)
    assert needs_meter(free)


def test_the_texts_behind_the_hashes_go_with_the_lines():
    terms, fact = facts_of(bound())

    assert {terms.price_hash, fact.price_hash, fact.tags_hash} == set(texts_of(bound()))


async def test_a_restart_at_any_point_gives_the_same_ledger():
    steps = [bound(), releasing(), done()]
    whole = Book()
    for claim in steps:
        await ClaimMeter(whole).settle(claim)
    for missed in range(len(steps)):
        book = Book()
        for claim in steps[missed:]:
            await ClaimMeter(book).settle(claim)
            await ClaimMeter(book).settle(claim)
        assert [e.fact for e in book.entries] == [e.fact for e in whole.entries]
        assert verify(book.entries).fault is None


async def test_what_is_settled_is_known_until_the_claim_changes():
    meter = ClaimMeter(Book())
    await meter.settle(bound())

    assert meter.is_settled(bound())
    newer = releasing().metadata.model_copy(update={"resource_version": "2"})
    assert not meter.is_settled(releasing().model_copy(update={"metadata": newer}))


def test_a_resumed_claim_doesnt_show_the_end_of_its_last_term():
    claim = done(ReleaseCause.SUSPENDED)
    allocation = claim.status.allocation.model_copy(
        update={"sequence": 2, "bound_time": Millis(LATER + 5)}
    )
    resumed = with_status(claim, claim_status.reserved(claim, allocation, LATER))

    assert kinds(resumed) == [("bound", "open", LATER + 5)]


def silent(claim: GpuClaim, from_ms: int, until_ms: int | None = None) -> GpuClaim:
    outage = Outage(
        sequence=1, lease_uid="w", gpus=8, from_time=Millis(from_ms), until_time=until_ms
    )
    return with_status(claim, claim.status.model_copy(update={"outages": (outage,)}))


def test_time_in_which_a_cluster_was_silent_is_disputed_beside_what_is_billed():
    assert kinds(silent(bound(), NOW + 5))[1:] == [("disputed", "open", NOW + 5)]
    assert kinds(silent(bound(), NOW + 5, NOW + 9))[2:] == [("disputed", "close", NOW + 9)]


def test_a_disputed_time_ends_with_the_meter_and_is_never_negative():
    assert kinds(silent(done(), NOW))[-2:] == [
        ("disputed", "open", NOW),
        ("disputed", "close", NOW),
    ]
    assert kinds(silent(done(), NOW + 5))[-1] == ("disputed", "close", NOW + 5)


def down(claim: GpuClaim, from_ms: int, until_ms: int | None = None) -> GpuClaim:
    each = Downtime(
        sequence=1,
        lease_uid="w",
        gpus=2,
        cause=DowntimeCause.GPUS_MISSING,
        from_time=Millis(from_ms),
        until_time=until_ms,
    )
    return with_status(claim, claim.status.model_copy(update={"downtimes": (each,)}))


def test_time_in_which_gpus_didnt_work_stands_beside_what_is_billed():
    assert kinds(down(bound(), NOW + 5))[1:] == [("downtime", "open", NOW + 5)]
    assert kinds(down(bound(), NOW + 5, NOW + 9))[2:] == [("downtime", "close", NOW + 9)]


def test_a_line_of_downtime_says_why_under_its_price_hash():
    claim = down(bound(), NOW + 5, NOW + 9)

    said = {f.price_hash for f in facts_of(claim) if f.kind is EntryKind.DOWNTIME}

    (text,) = (texts_of(claim)[hash_] for hash_ in said)
    assert Evidence.read(text).cause is DowntimeCause.GPUS_MISSING


def test_a_downtime_ends_with_the_meter_and_is_never_empty():
    assert kinds(down(done(), NOW - 5))[-1] == ("downtime", "close", NOW)
    assert kinds(down(done(), NOW + 5))[-1] == ("downtime", "close", NOW + 6)


def test_each_reservation_says_first_what_it_agreed_to():
    terms, *lines = facts_of(done())

    assert (terms.kind, terms.sequence, terms.at_ms) == (EntryKind.TERMS, 1, NOW)
    assert (terms.lease_uid, terms.gpus, terms.tags_hash) == ("", 0, "")
    assert all(line.kind is not EntryKind.TERMS for line in lines)


def test_a_class_name_that_is_changed_after_the_release_changes_no_line():
    before = done(ReleaseCause.SUSPENDED)
    held = before.status.allocation.model_copy(update={"class_name": "h100"})
    before = with_status(before, before.status.model_copy(update={"allocation": held}))
    spec = before.spec.model_copy(update={"class_name": "b200"})
    after = before.model_copy(update={"spec": spec})

    assert [f.content for f in facts_of(after)] == [f.content for f in facts_of(before)]


def test_disputed_lines_make_intervals_and_cost_nothing():
    over = silent(done(), NOW + 5)

    found = list(intervals(facts_of(over)))
    assert {x.kind for x in found} == {EntryKind.BOUND, EntryKind.RELEASING, EntryKind.DISPUTED}
    assert EntryKind.DISPUTED not in BILLED
