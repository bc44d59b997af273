"""The map of old and new UIDs: nodes' own books decide what a restored claim still holds."""

from typing import Any

import pytest

from sublet.api.claim_status import released_ms
from sublet.api.common import is_true
from sublet.api.downtime import Downtime, DowntimeCause
from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.ids import ClaimUID
from sublet.api.origin import RESTORED
from sublet.api.outage import Outage
from sublet.api.relocation import ReleaseCause
from sublet.api.times import Millis
from sublet.book.plan import plan
from sublet.cli.keeping.adopt import Word, adopted_status
from sublet.cli.keeping.mapping import Hub, Row, Term, Verdict, digest_of, make_map, strangers
from sublet.cli.keeping.possession import Possession
from sublet.cli.keeping.restore import restored_status
from sublet.hub.meter import facts_of
from tests.builders.api import NOW, as_claim, as_lease, claim, lease, uid_of
from tests.builders.edges import edges_of
from tests.builders.fleet import bound, carried_out, inventory, nodes, reserve_of, view
from tests.builders.restored import adopted, newborn, on_the_wire, parsed, restored

WEST = as_lease(lease("west"))
LEASE_UID = WEST.metadata.uid
NODES = nodes(WEST, 2)
LATER = Millis(NOW + 60_000)
WORD = Word("ann", LATER)


def _reserved() -> GpuClaim:
    train = as_claim(claim(gpus=16))
    made = plan(view([train], [(WEST, inventory(WEST, NODES))]))
    return carried_out(train, reserve_of(made, train))


RESERVED = _reserved()
BOUND = bound(RESERVED)
OLD = ClaimUID(BOUND.metadata.uid)
FULL: dict[str, dict[ClaimUID, int]] = {n.uid: {OLD: 8} for n in NODES}
NAMES: dict[str, str] = {n.uid: n.name for n in NODES}


def held(original: GpuClaim = BOUND, **_: Any) -> GpuClaim:
    return parsed(restored(on_the_wire(original)))


def row(
    books: Any, found: GpuClaim | None = None, term: Term | None = None, **possession: Any
) -> Row:
    seen = {LEASE_UID: Possession(books, NAMES, **possession)}
    terms = {OLD: term} if term is not None else None
    (only,) = make_map(Hub(claims=[found or held()]), seen, terms)
    return only


def test_a_claim_whose_nodes_hold_it_goes_on_as_it_was():
    found = row(FULL)

    assert (found.verdict, found.old, found.new) == (Verdict.ADOPT, OLD, uid_of("new"))
    assert found.note == "2 of 2 nodes hold it"


def test_a_claim_that_every_node_has_forgotten_was_released_since():
    assert row({n.uid: {} for n in NODES}).verdict is Verdict.END


def test_a_claim_that_some_nodes_hold_goes_on():
    found = row({**FULL, NODES[0].uid: {}})

    assert (found.verdict, found.note) == (Verdict.ADOPT, "1 of 2 nodes hold it")


def test_a_cluster_that_cant_be_read_is_no_proof_of_anything():
    found = row({}, unseen="no answer")

    assert (found.verdict, found.note) == (Verdict.WAIT, "west: no answer")
    assert make_map(Hub(claims=[held()]), {})[0].verdict is Verdict.WAIT


@pytest.mark.parametrize("word_of", ["new", "another"])
def test_a_cluster_that_a_person_gave_up_is_waited_for_by_nobody_and_nothing_is_concluded_from_it(
    word_of: str,
):
    body = restored(on_the_wire(WEST, "GpuLease"))
    body["spec"]["lost"] = {"leaseUID": uid_of(word_of), "time": "2026-11-22T09:00:00Z", "by": "ann"}  # fmt: skip
    hub = Hub(claims=[held()], leases=[GpuLease.model_validate(body)])
    rows = make_map(hub, {LEASE_UID: Possession(unseen="no answer")})

    waits = word_of == "another"
    assert [r.verdict for r in rows] == [Verdict.WAIT if waits else Verdict.ADOPT] * 2
    if not waits:
        assert rows[0].note == "0 of 2 nodes hold it; 2 are in clusters that are lost"


@pytest.mark.parametrize(
    "books",
    [{**FULL, "another": {OLD: 8}}, {**FULL, NODES[0].uid: {OLD: 4}}],
    ids=["another node", "other GPUs"],
)
def test_a_claim_that_was_bound_otherwise_since_stays_held(books: Any):
    seen = {LEASE_UID: Possession(books, {**NAMES, "another": "n9"})}

    assert make_map(Hub(claims=[held()]), seen)[0].verdict is Verdict.DIFFERS
    waits = parsed(restored(on_the_wire(as_claim(claim(gpus=16)))))
    assert make_map(Hub(claims=[waits]), seen)[0].verdict is Verdict.DIFFERS


@pytest.mark.parametrize(
    ("books", "term", "verdict"),
    [
        ({}, Term(1, LATER), Verdict.END),
        ({}, Term(1, None), Verdict.DIFFERS),
        (FULL, Term(2, LATER), Verdict.DIFFERS),
    ],
)
def test_what_was_bound_after_the_backup_by_the_ledger_is_never_bound_again(
    books: Any, term: Term, verdict: Verdict
):
    waits = parsed(restored(on_the_wire(as_claim(claim(gpus=16)))))
    found = waits if not books else held()
    (made,) = make_map(Hub(claims=[found]), {LEASE_UID: Possession(books, NAMES)}, {OLD: term})

    assert made.verdict is verdict
    if verdict is Verdict.END:
        assert is_true(goes_on(made).status.conditions, "Ended")


def test_what_the_ledger_has_of_the_backups_own_reservation_changes_nothing_while_it_lasts():
    seen = {LEASE_UID: Possession(FULL, NAMES)}
    (made,) = make_map(Hub(claims=[held()]), seen, {OLD: Term(1, None)})

    assert made.verdict is Verdict.ADOPT


def test_a_release_that_had_begun_by_the_ledger_goes_on_from_there():
    seen = {LEASE_UID: Possession(FULL, NAMES)}
    (made,) = make_map(Hub(claims=[held()]), seen, {OLD: Term(1, LATER)})
    after = goes_on(made)

    assert made.verdict is Verdict.END
    assert after.status.release is not None
    assert after.status.release.release_time == LATER
    assert is_true(after.status.conditions, "Releasing")


def test_a_reservation_that_was_bound_and_released_after_the_backup_ends():
    train = as_claim(claim(gpus=16))
    made = plan(view([train], [(WEST, inventory(WEST, NODES))]))
    reserved = parsed(restored(on_the_wire(carried_out(train, reserve_of(made, train)))))
    seen = {LEASE_UID: Possession({n.uid: {} for n in NODES}, NAMES)}

    assert make_map(Hub(claims=[reserved]), seen)[0].verdict is Verdict.ADOPT
    assert make_map(Hub(claims=[reserved]), seen, {OLD: Term(1, LATER)})[0].verdict is Verdict.END


def test_a_claim_that_held_nothing_is_adopted_without_asking_anybody():
    waits = parsed(restored(on_the_wire(as_claim())))

    assert make_map(Hub(claims=[waits]), {})[0].verdict is Verdict.ADOPT


def test_a_claim_without_its_status_is_not_restored_yet():
    body = newborn(restored(on_the_wire(BOUND)))

    assert make_map(Hub(claims=[parsed(body)]), {})[0].verdict is Verdict.UNFINISHED


def test_a_mark_on_a_claim_that_was_planned_puts_it_in_no_map():
    body = on_the_wire(BOUND)
    body["metadata"]["annotations"] = {RESTORED: uid_of("x")}

    assert make_map(Hub(claims=[parsed(body)]), {}) == []


def test_what_isnt_restored_is_in_no_map():
    assert make_map(Hub(claims=[BOUND], leases=[WEST]), {}) == []


def test_leases_come_last_so_that_nothing_is_sold_before_all_that_was_sold_is_known():
    west = GpuLease.model_validate(restored(on_the_wire(WEST, "GpuLease"), "west"))
    rows = make_map(Hub(claims=[held()], leases=[west]), {LEASE_UID: Possession(FULL, NAMES)})

    assert [r.kind.name for r in rows] == ["GpuClaim", "GpuLease"]
    assert rows[1].note == "2 nodes carry its mark"


def test_a_yes_is_to_one_map_alone():
    assert digest_of([row(FULL)]) == digest_of([row(FULL)])
    assert digest_of([row(FULL)]) != digest_of([row({})])


def test_a_yes_is_not_to_what_was_restored_from_another_backup_since():
    body = restored(on_the_wire(BOUND))
    body["status"] = restored_status(body, LATER)

    newer = row(FULL, parsed(body))
    assert newer.verdict is row(FULL).verdict
    assert digest_of([newer]) != digest_of([row(FULL)])


def test_what_nodes_hold_for_claims_that_nobody_knows_is_named():
    seen = {LEASE_UID: Possession({**FULL, "x": {ClaimUID(uid_of("stray")): 4}}, {**NAMES, "x": "n7"})}  # fmt: skip

    assert list(strangers(Hub(claims=[held()]), seen)) == [("n7", uid_of("stray"), 4)]
    done = parsed(adopted(restored(on_the_wire(BOUND))))
    assert list(strangers(Hub(claims=[done]), {LEASE_UID: Possession(FULL, NAMES)})) == []


def goes_on(found: Row) -> GpuClaim:
    """The claim as the operator reads it after its adoption."""
    status = adopted_status(found, WORD)
    body = on_the_wire(found.item)
    body["status"] = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    return parsed(body)


def test_an_adopted_claim_calls_for_the_very_lines_that_it_had():
    after = goes_on(row(FULL))

    assert [f.id for f in facts_of(after)] == [f.id for f in facts_of(BOUND)]
    assert is_true(after.status.conditions, "Bound")
    assert after.status.access.renewal_time == LATER
    assert (after.status.origin.adopted_by, after.status.origin.adopted_time) == ("ann", LATER)


def of_west(*times: tuple[int, int | None]) -> tuple[Outage, ...]:
    """Silences of west, in milliseconds after the claim was bound."""
    return tuple(
        Outage(
            sequence=1,
            lease_uid=LEASE_UID,
            gpus=16,
            from_time=Millis(NOW + a),
            until_time=Millis(NOW + b) if b is not None else None,
        )
        for a, b in times
    )


@pytest.mark.parametrize(
    ("saved", "ledgers", "after"),
    [
        ([(5, None)], [(5, 9)], [(5, 9)]),
        ([(5, None)], [(5, 9), (20, None)], [(5, 9), (20, None)]),
        ([], [(5, None)], [(5, None)]),
        ([(5, None)], [(5, None)], [(5, None)]),
        ([(5, 9)], [(5, None)], [(5, 9)]),
        ([(5, 9), (20, None)], [], [(5, 9), (20, None)]),
    ],
    ids=[
        "it ended since",
        "another one began since",
        "it began since",
        "it lasts",
        "the ledger is older",
        "the ledger is much older",
    ],
)
def test_a_backup_from_the_middle_of_a_silence_goes_on_with_what_the_ledger_has_of_it(
    saved: Any, ledgers: Any, after: Any
):
    found = held(
        BOUND.model_copy(
            update={"status": BOUND.status.model_copy(update={"outages": of_west(*saved)})}
        )
    )
    seen = {LEASE_UID: Possession(FULL, NAMES)}
    term = Term(1, None, outages=of_west(*ledgers))
    (made,) = make_map(Hub(claims=[found]), seen, {OLD: term})

    assert goes_on(made).status.outages == of_west(*after)


def test_a_downtime_that_ended_after_the_backup_has_its_end():
    begun = Downtime(
        sequence=1,
        lease_uid=LEASE_UID,
        gpus=2,
        cause=DowntimeCause.GPUS_MISSING,
        from_time=Millis(NOW + 5),
    )
    over = begun.model_copy(update={"until_time": Millis(NOW + 9)})
    status = BOUND.status.model_copy(update={"downtimes": (begun,)})
    found = held(BOUND.model_copy(update={"status": status}))
    seen = {LEASE_UID: Possession(FULL, NAMES)}
    (made,) = make_map(Hub(claims=[found]), seen, {OLD: Term(1, None, downtimes=(over,))})

    assert goes_on(made).status.downtimes == (over,)


@pytest.mark.parametrize("answers", [True, False])
def test_a_lease_whose_cluster_answers_is_silent_at_most_from_its_adoption_on(answers: bool):
    body = restored(on_the_wire(WEST, "GpuLease"))
    body["status"]["lastSeenTime"] = "2026-11-22T09:00:00Z"
    body["spec"]["lost"] = {"leaseUID": uid_of("new"), "time": "2026-11-22T09:00:00Z", "by": "ann"}
    seen = Possession(FULL, NAMES) if answers else Possession(unseen="no answer")
    (made,) = make_map(Hub(leases=[GpuLease.model_validate(body)]), {LEASE_UID: seen})

    status = adopted_status(made, WORD)
    assert status.last_seen_time == (LATER if answers else NOW - 3_600_000)


def again(sequence: int) -> GpuClaim:
    """The claim, bound by its reservation of that number."""
    allocation = BOUND.status.allocation
    assert allocation is not None
    update = {"allocation": allocation.model_copy(update={"sequence": sequence})}
    return held(BOUND.model_copy(update={"status": BOUND.status.model_copy(update=update)}))


@pytest.mark.parametrize("term", [Term(1, LATER), Term(2, LATER)], ids=["the same", "a later one"])
def test_a_claim_whose_end_the_ledger_has_writes_no_line_twice(term: Term):
    after = goes_on(row({}, term=term))

    assert facts_of(after) == []
    assert is_true(after.status.conditions, "Ended")


@pytest.mark.parametrize(
    ("sequence", "term"),
    [(1, Term(1, None)), (1, None), (2, Term(1, LATER)), (2, Term(1, None))],
    ids=[
        "it has it running",
        "it doesn't have it",
        "it has the end of an earlier one",
        "it has an earlier one running",
    ],
)
def test_a_claim_whose_end_the_ledger_lacks_is_billed_to_the_backups_instant(
    sequence: int, term: Term | None
):
    after = goes_on(row({}, again(sequence), term=term))

    assert after.status.release.release_time == NOW
    assert after.status.release.cause is ReleaseCause.DELETED
    assert released_ms(after) is None
    assert [(f.kind.value, f.type.value) for f in edges_of(after)] == [
        ("bound", "open"),
        ("bound", "close"),
        ("releasing", "open"),
    ]
