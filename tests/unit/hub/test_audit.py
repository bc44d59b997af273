"""What an object records gives its audit records and notices, and the same state always the same ones."""

from pathlib import Path

from sublet.api import bound_status, claim_status, move_status
from sublet.api.approval import APPROVED, APPROVED_BY, approval_text
from sublet.api.gpulease import GpuLease
from sublet.api.last_word import ForceRelease, LostStatus
from sublet.api.relocation import Move, MoveCause, ReleaseCause
from sublet.api.times import Millis
from sublet.clock import SystemClock
from sublet.hub.audit import audit_of, lease_audit
from sublet.hub.chronicle import Chronicle
from sublet.hub.meter import ClaimMeter
from sublet.hub.news import claim_news, lease_news
from sublet.store.outbox import SqlOutbox
from sublet.store.sql import SqlLedger
from sublet.store.trail import SqlTrail
from tests.builders.api import NOW, as_claim, as_lease, lease, uid_of, with_status
from tests.builders.restored import adopted, on_the_wire, parsed, restored
from tests.unit.api.test_claim_status import LATER, bound, releasing

END = "2026-12-22T10:00:00Z"


def said(records):
    return [(r.what, r.who, r.before, r.after, r.reason, r.at_ms) for r in records]


def test_a_claim_that_waits_has_no_record():
    assert audit_of(as_claim(), NOW) == []


def test_a_bind_says_which_gpus_of_which_lease_and_when():
    (record,) = audit_of(bound(), LATER)

    assert (record.what, record.who, record.at_ms) == ("bind", "sublet", NOW)
    assert record.after.startswith("8 GPUs on ")
    assert (record.subject, record.lease) == ("acme/train", "west")


def test_a_release_says_why():
    found = audit_of(releasing(ReleaseCause.PREEMPTED), LATER)

    assert [(r.what, r.reason) for r in found] == [("bind", ""), ("release", "Preempted")]


def test_a_preemption_with_notice_is_recorded_when_it_is_said():
    claim = bound()
    allocation = claim.status.allocation.model_copy(
        update={"until_time": Millis(LATER), "until_cause": ReleaseCause.PREEMPTED}
    )
    claim = with_status(claim, claim.status.model_copy(update={"allocation": allocation}))
    told = with_status(claim, bound_status.expiring(claim, "Preempted", "soon", NOW))

    preempted = [r for r in audit_of(told, LATER) if r.what == "preempt"]

    assert [r.at_ms for r in preempted] == [NOW]
    assert [r.id for r in preempted] == [
        r.id for r in audit_of(claim, LATER) if r.what == "preempt"
    ]


def test_a_move_says_from_where_to_where_and_the_cutover_what_was_left():
    claim = bound()
    (old,) = claim.status.allocation.placements
    new = old.model_copy(update={"lease": "east", "lease_uid": uid_of("east"), "node": "e1",
                                 "node_uid": uid_of("e1")})  # fmt: skip
    move = Move(sequence=2, cause=MoveCause.LEASE_ENDS, decided_time=LATER, placements=(new,))
    moving = with_status(claim, move_status.moving(claim, move, LATER))
    moved = with_status(moving, move_status.cut_over(moving, LATER, LATER))

    gone, come = sorted(
        (r for r in audit_of(moving, LATER) if r.what == "move"), key=lambda r: r.after
    )
    assert (gone.lease, gone.before, gone.after) == ("west", f"8 GPUs on {old.node}", "")
    assert (come.lease, come.before, come.after) == ("east", "", "8 GPUs on e1")
    assert [(r.what, r.key) for r in audit_of(moved, LATER)] == [("leave", "1"), ("bind", "2")]


def test_an_approval_names_who_gave_it_and_for_what():
    claim = as_claim()
    notes = {APPROVED: approval_text(claim), APPROVED_BY: "ann"}
    meta = claim.metadata.model_copy(update={"annotations": notes})
    approved = claim.model_copy(update={"metadata": meta})

    (first,), (again,) = audit_of(approved, NOW), audit_of(approved, LATER)

    assert said([first]) == [("approve", "ann", "", "up to 8 GPUs of h100", "", NOW)]
    assert first.id == again.id


def test_a_forced_release_counts_for_this_very_claim_only():
    claim = releasing(ReleaseCause.DELETED)

    def forced(uid: str):
        word = ForceRelease(claim_uid=uid, by="ann")
        spec = claim.spec.model_copy(update={"force_release": word})
        return [r for r in audit_of(claim.model_copy(update={"spec": spec}), NOW) if r.who == "ann"]

    assert [r.what for r in forced(claim.metadata.uid)] == ["forceRelease"]
    assert forced(uid_of("another")) == []


def test_an_adoption_says_who_a_claim_was_and_is():
    body = adopted(restored(on_the_wire(bound())))

    record = next(r for r in audit_of(parsed(body), NOW) if r.what == "adopt")

    assert (record.who, record.after) == ("ann", f"uid {bound().metadata.uid}")
    assert record.before == f"uid {uid_of('new')}"


def lost_lease() -> GpuLease:
    one = as_lease(lease(releaseOrphans=[uid_of("gone")]))
    lost = LostStatus(by="ann", time=NOW, meter_time=NOW)
    return one.model_copy(update={"status": one.status.model_copy(update={"lost": lost})})


def test_what_a_person_said_on_a_lease_is_recorded():
    found = lease_audit(lost_lease(), LATER)

    assert [(r.what, r.who, r.at_ms) for r in found] == [
        ("lost", "ann", NOW),
        ("releaseOrphans", "", LATER),
    ]
    assert {r.lease for r in found} == {"west"}


def test_a_claim_that_ends_with_its_lease_is_told_once_per_stage():
    claim = bound()
    until = Millis(NOW + 3 * 24 * 3_600_000)
    allocation = claim.status.allocation.model_copy(
        update={"until_time": until, "until_cause": ReleaseCause.LEASE_ENDED}
    )
    claim = with_status(claim, claim.status.model_copy(update={"allocation": allocation}))
    week = with_status(claim, bound_status.expiring(claim, "EndsWithin7Days", "soon", NOW))
    day = with_status(week, bound_status.expiring(week, "EndsWithin24Hours", "sooner", LATER))

    (first,), (second,) = claim_news(week), claim_news(day)

    assert (first.kind, first.at_ms, first.data["reason"]) == (
        "claim.ending",
        NOW,
        "EndsWithin7Days",
    )
    assert second.at_ms == until - 24 * 3_600_000
    assert first.id != second.id
    assert claim_news(claim) == []


def test_a_lease_that_ends_soon_is_told_of():
    body = lease(end=END)
    condition = {"type": "Expiring", "status": "True", "reason": "EndsSoon", "message": "it ends",
                 "lastTransitionTime": "2026-11-22T10:00:00Z"}  # fmt: skip

    (told,) = lease_news(as_lease({**body, "status": {"conditions": [condition]}}))

    assert (told.kind, told.at_ms, told.data["endTime"]) == ("lease.ending", NOW, END)
    assert lease_news(as_lease(body)) == []


async def test_a_replay_writes_nothing_and_what_has_lines_is_written_with_them(tmp_path: Path):
    ledger = SqlLedger(f"sqlite:///{tmp_path}/ledger.sqlite")
    claim = releasing(ReleaseCause.DELETED)

    for _ in range(2):  # two operators, one after the other
        chronicle = Chronicle(ledger, SystemClock(), leases=lambda: [lost_lease()], tenants=list)
        await ClaimMeter(ledger, records=chronicle.records).settle(claim)
        await chronicle.write([claim])

    lines = await SqlTrail(ledger).lines()
    assert [line.record.what for line in lines] == ["bind", "release", "lost", "releaseOrphans"]
    assert (await SqlTrail(ledger).verify()).fault is None
    assert await SqlOutbox(ledger).notices(0, 10) == []
    await ledger.close()


async def test_the_trail_is_found_by_claim_lease_and_instant(tmp_path: Path):
    ledger = SqlLedger(f"sqlite:///{tmp_path}/ledger.sqlite")
    trail, claim = SqlTrail(ledger), releasing(ReleaseCause.DELETED)
    await trail.record([*audit_of(claim, NOW), *lease_audit(lost_lease(), LATER)])

    by_claim = await trail.lines(subject="acme/train")
    by_lease = await trail.lines(lease="west", since_ms=LATER)

    assert [x.record.what for x in by_claim] == ["bind", "release"]
    assert [x.record.what for x in by_lease] == ["releaseOrphans"]
    assert await trail.lines(subject=claim.metadata.uid) == by_claim
    await ledger.close()


def test_a_release_of_a_claim_that_was_never_bound_is_recorded_too():
    claim = releasing(ReleaseCause.DELETED)
    never = claim.status.allocation.model_copy(update={"bound_time": None})
    held = with_status(claim, claim.status.model_copy(update={"allocation": never}))

    assert [r.what for r in audit_of(held, NOW)] == ["release"]
    done = with_status(held, claim_status.released(held, LATER))
    assert audit_of(done, LATER) == audit_of(held, LATER)
