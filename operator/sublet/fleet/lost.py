"""When a silent cluster was last seen to work, and whether a person's word that it is lost holds. Pure.

While a cluster answers nothing of this is written, so at rest nothing is. `status.lastSeenTime` is written with the
change of Reachable, before anything can need it, and goes when the cluster answers. If the operator itself was away when
the cluster fell silent, its last sign of life bounds what it saw: the renewal of its leader's Lease.
"""

from typing import Final

from sublet.api.common import Status, is_true
from sublet.api.gpulease import GpuLease
from sublet.api.last_word import Lost, LostStatus
from sublet.api.times import Millis, format_instant
from sublet.api.wording import how_many
from sublet.book.inventory import Reach
from sublet.fleet.facts import LeaseFacts

Found = tuple[Status, str, str]
"""(status, reason, message)"""
LOST: Final = "Lost"


def is_undecided(lease: GpuLease, facts: LeaseFacts) -> bool:
    """Say whether a cluster that answered before we started hasn't been asked often enough since to say otherwise."""
    untried = facts.reach is Reach.UNKNOWN and not facts.tried
    return untried and is_true(lease.status.conditions, "Reachable")


def last_seen(lease: GpuLease, facts: LeaseFacts, lived_ms: Millis | None) -> Millis | None:
    """Return when a cluster that doesn't answer was last seen to work; None while it answers, or if nobody knows.

    `lived_ms`: until when a leader before us is known to have seen whatever its statuses said.
    """
    if facts.reach is Reach.REACHABLE or is_undecided(lease, facts):
        return None
    known = [at for at in (lease.status.last_seen_time, facts.seen_ms) if at is not None]
    if not known and is_true(lease.status.conditions, "Reachable"):
        # without anybody's sign of life: as long as we know ourselves
        known = [at for at in (lived_ms, facts.unreachable_since_ms) if at is not None][:1]
    return max(known, default=None)


def taking_effect(
    lease: GpuLease, facts: LeaseFacts, seen_ms: Millis | None, now_ms: Millis
) -> LostStatus | None:
    """Return what becomes of a person's word, None if there is none or it doesn't hold; it holds for good."""
    word = lease.spec.lost
    if lease.status.lost is not None or word is None or _objection(lease, word, facts, now_ms):
        return lease.status.lost
    meter_ms = min(word.time, seen_ms) if seen_ms is not None else word.time
    return LostStatus(by=word.by, time=word.time, meter_time=meter_ms)


def lost_condition(
    lease: GpuLease, lost: LostStatus | None, facts: LeaseFacts, now_ms: Millis
) -> Found | None:
    """Return the condition Lost; None where nobody said anything."""
    if lost is not None:
        return Status.TRUE, LOST, _words(lease, lost, facts)
    word = lease.spec.lost
    found = _objection(lease, word, facts, now_ms) if word is not None else None
    return (Status.FALSE, *found) if found is not None else None


def _words(lease: GpuLease, lost: LostStatus, facts: LeaseFacts) -> str:
    text = (
        f"{lost.by} said that it is lost since {format_instant(lost.time)}; its claims end, billed until "
        f"{format_instant(lost.meter_time)}; nothing is sold under this lease again"
    )
    if facts.reach is not Reach.REACHABLE:
        return text
    left = lease.status.left_claims
    if left:
        return f"{text}; the cluster answers again: what {how_many(left, 'claim')} left there is being cleaned"
    return f"{text}; the cluster answers again and is clean: make a new lease to use it"


def _objection(
    lease: GpuLease, word: Lost, facts: LeaseFacts, now_ms: Millis
) -> tuple[str, str] | None:
    """Return why a word doesn't hold, and what to do about it."""
    if word.lease_uid != lease.metadata.own_uid:
        uid = lease.metadata.own_uid
        return "OtherLease", f"lost.leaseUID names another lease; of this one it is {uid}"
    if word.time > now_ms:
        when = format_instant(word.time)
        return "InFuture", f"lost.time, {when}, is still to come; nothing is done before"
    if facts.reach is Reach.REACHABLE:
        return "Answers", (
            "the cluster answers, so it is not lost; to give it up set term.endTime, or delete its claims"
        )
    if not facts.tried:
        return "NotTried", "the cluster is asked first whether it answers"
    return None
