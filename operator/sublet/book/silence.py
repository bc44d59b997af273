"""Bound claims in clusters that don't answer: they stay bound and billed, and are told since when, and what may follow.

A cluster's silence begins when it was last seen to work (`status.lastSeenTime` of its leases). A claim is told after a
minute, which spares everybody a hiccup, and again after an hour and when its tokens are about to end; nothing else is
done, ever. The time in between is disputed: `status.outages`, from which the ledger gets its lines. Where the lease itself
isn't there, nobody looks after its claims and nobody knows since when: they are told, and nothing is disputed.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial
from typing import Final

from sublet.api.common import Status, find_condition
from sublet.api.gpuclaim import Allocation, GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.ids import ClaimUID
from sublet.api.move_status import usable_nodes
from sublet.api.outage import MOST_OUTAGES, Outage
from sublet.api.times import Millis, format_instant
from sublet.book.decisions import Silence
from sublet.book.room import fitted

TOLD_AFTER_MS: Final = 60_000
ALARM_AFTER_MS: Final = 3_600_000
TOKEN_WARNING_MS: Final = 3_600_000
UNREACHABLE: Final = "Unreachable"
UNREACHABLE_FOR_1_HOUR: Final = "UnreachableFor1Hour"
LEASE_MISSING: Final = "LeaseMissing"
ANSWERS: Final = "Answers"


class Silences:
    """The silent clusters of one pass."""

    def __init__(self, leases: Iterable[GpuLease], now_ms: Millis) -> None:
        leases = tuple(leases)
        self._now_ms = now_ms
        self._since = silent_since(leases)
        self._there = {x.metadata.uid for x in leases if not x.is_lost}
        self._on_hub = {x.metadata.uid for x in leases}

    def of(self, claim: GpuClaim, allocation: Allocation) -> Silence | None:
        """Return what a bound claim is to be told of clusters that don't answer, or answer again, and wasn't told yet."""
        said = find_condition(claim.status.conditions, "Reachable")
        silent = _told(claim, allocation, self._since, self._now_ms) if self._since else {}
        missing = {p.lease for p in usable_nodes(claim) if p.lease_uid not in self._on_hub}
        if missing:
            reason, message = LEASE_MISSING, _missing_words(sorted(missing))
        elif silent:
            reason, message = _words(claim, silent, self._now_ms)
        elif said is None or said.status is Status.TRUE or not allocation.lease_uids <= self._there:
            return None  # of a lease that isn't there nobody knows whether its cluster answers
        else:
            reason, message = ANSWERS, ""
        outages, unsettled = _outages(claim, allocation, silent, self._there, self._now_ms)
        if (said is not None and (said.reason, said.message) == (reason, message)
                and outages == claim.status.outages):  # fmt: skip
            return None
        return Silence(ClaimUID(claim.metadata.uid), reason, message, outages, unsettled)


def silence_dues(claim: GpuClaim, since: Mapping[str, Millis]) -> Iterator[Millis]:
    """Yield the instants at which a claim is told more; `since` as of `silent_since`."""
    allocation = claim.status.allocation
    silent = {p.lease_uid for p in allocation.placements} & since.keys() if allocation else ()
    for uid in silent:
        yield from (Millis(since[uid] + after) for after in (TOLD_AFTER_MS, ALARM_AFTER_MS))
    access = claim.status.access
    for each in access.clusters if silent and access is not None else ():
        yield from (Millis(each.expiration_time - TOKEN_WARNING_MS), each.expiration_time)


def silent_since(leases: Iterable[GpuLease]) -> dict[str, Millis]:
    """Return lease UID -> since when its cluster doesn't answer."""
    return {
        x.metadata.uid: x.status.last_seen_time
        for x in leases
        if x.status.last_seen_time is not None and not x.is_lost
    }


def _told(
    claim: GpuClaim, allocation: Allocation, since: Mapping[str, Millis], now_ms: Millis
) -> dict[str, tuple[str, Millis]]:
    """Return the silent leases of a claim that it is told of, or was: UID -> (alias, since when)."""
    found = {p.lease_uid: (p.lease, since[p.lease_uid]) for p in allocation.placements
             if p.lease_uid in since}  # fmt: skip
    # a clock of ours that was set back is no answer of the cluster
    told = {x.lease_uid for x in claim.status.outages if _is_open(x, allocation)}
    return {
        uid: each for uid, each in found.items() if uid in told or now_ms >= each[1] + TOLD_AFTER_MS
    }


def _is_open(outage: Outage, allocation: Allocation) -> bool:
    return outage.sequence == allocation.sequence and outage.until_time is None


def _words(
    claim: GpuClaim, silent: Mapping[str, tuple[str, Millis]], now_ms: Millis
) -> tuple[str, str]:
    first = min(since for _, since in silent.values())
    names = " and ".join(
        f"{alias} hasn't been reachable since {format_instant(since)}"
        for alias, since in sorted(silent.values())
    )
    text = f"{names}; the claim stays bound and its meter runs on, the time is recorded as disputed"
    return (
        UNREACHABLE_FOR_1_HOUR if now_ms >= first + ALARM_AFTER_MS else UNREACHABLE,
        text + _access_words(claim, {alias for alias, _ in silent.values()}, now_ms),
    )


def _missing_words(aliases: Collection[str]) -> str:
    return (
        f"the GpuLease of {' and '.join(aliases)} isn't on the hub, or can't be read: nothing is known of its cluster, and "
        "access there isn't renewed; the claim stays bound and its meter runs on"
    )


def _access_words(claim: GpuClaim, aliases: Collection[str], now_ms: Millis) -> str:
    """Say when access ends, once that is near: a token can't be renewed where nobody answers."""
    access = claim.status.access
    ends = [c.expiration_time for c in access.clusters if c.alias in aliases] if access else []
    if not ends or now_ms < min(ends) - TOKEN_WARNING_MS:
        return ""
    verb = "ended" if now_ms >= min(ends) else "ends"
    return f"; access there {verb} at {format_instant(min(ends))} and is renewed when it answers"


def _outages(
    claim: GpuClaim,
    allocation: Allocation,
    silent: Mapping[str, tuple[str, Millis]],
    there: set[str],
    now_ms: Millis,
) -> tuple[tuple[Outage, ...], tuple[Outage, ...]]:
    """Return the claim's outages, those that are over closed, those that began opened; and those while its lines aren't written.

    `there`: leases that can be judged.
    """
    found: list[Outage] = []
    is_open: set[str] = set()
    free: dict[str, Millis] = {}  # lease UID -> from when on no outage of it is listed
    for each in claim.status.outages:
        over = _is_open(each, allocation) and each.lease_uid in there - silent.keys()
        until = Millis(max(now_ms, each.from_time)) if over else each.until_time
        if each.sequence != allocation.sequence:
            pass
        elif until is None:
            is_open.add(each.lease_uid)
        else:
            free[each.lease_uid] = Millis(max(until + 1, free.get(each.lease_uid, 0)))
        found.append(each.model_copy(update={"until_time": until}) if over else each)
    for uid in sorted(silent.keys() - is_open):
        # no instant is disputed twice, though it was seen to answer only after it had fallen silent again; nor does an
        # outage begin when another began: they would share a line of the ledger
        begun = (silent[uid][1], allocation.bound_time, free.get(uid))
        found.append(
            Outage(
                sequence=allocation.sequence,
                lease_uid=uid,
                gpus=sum(p.gpus for p in allocation.placements if p.lease_uid == uid),
                from_time=max(at for at in begun if at is not None),
            )
        )
    return fitted(
        claim.status.outages, found, partial(_is_open, allocation=allocation), MOST_OUTAGES
    )
