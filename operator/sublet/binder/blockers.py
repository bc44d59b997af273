"""What a release that hangs waits for, in words for the claim's conditions: who blocks, since when, and the ways out."""

from collections.abc import Mapping

from sublet.api.claim_status import allocation_of
from sublet.api.common import Status, find_condition, is_true
from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.ids import LeaseUID
from sublet.api.move_status import all_nodes
from sublet.api.rest_status import vacated_ms
from sublet.api.times import Millis, format_instant
from sublet.binder.ports import ClusterRefuses, ClusterSilent, StillThere, Tools
from sublet.binder.sites import successors_of
from sublet.book.holdings import RELEASE_MS
from sublet.book.rests import rested_ms


def words(claim: GpuClaim, reason: Exception, tools: Tools) -> str:
    """Return what a claim is told of what holds it up; for a claim that isn't leaving, the reason's own words."""
    text = str(reason)
    release = claim.status.release
    if release is None or not is_true(claim.status.conditions, "Releasing"):
        return text
    if not isinstance(reason, ClusterSilent | ClusterRefuses | StillThere):
        return text
    silent, gone = _silences(claim, tools), _gone(claim, tools)
    if isinstance(reason, StillThere) and not (silent or gone or _lasts(claim, reason, tools)):
        return text
    billed = allocation_of(claim).bound_time is not None
    stopped = f"; the meter stopped at {format_instant(release.release_time)}" if billed else ""
    lost = [f"its GpuLease, {uid}, isn't on the hub, or can't be read" for uid in gone]
    since = f" ({', '.join([*silent, *lost])})" if silent or lost else ""
    return f"{text}{since}{stopped}; {_way_out(claim, gone)}"


def _lasts(claim: GpuClaim, reason: StillThere, tools: Tools) -> bool:
    """Say whether nodes are held longer than they should be; a rest ends by itself."""
    leaving = find_condition(claim.status.conditions, "Releasing")
    if reason.rests or leaving is None:
        return False
    began = leaving.last_transition_time
    since = rested_ms(all_nodes(claim), began, vacated_ms(claim), tools.lease)
    return tools.clock.now_ms() >= since + RELEASE_MS


def _silences(claim: GpuClaim, tools: Tools) -> list[str]:
    """Return since when each cluster of the claim that is silent is so."""
    leases = {p.lease_uid: p.lease for p in all_nodes(claim)}
    found = {alias: tools.lease(LeaseUID(uid)) for uid, alias in leases.items()}
    return [
        f"{alias} hasn't been reachable since {format_instant(since)}"
        for alias, lease in sorted(found.items())
        if lease is not None and (since := _silent_since(lease)) is not None
    ]


def _gone(claim: GpuClaim, tools: Tools) -> dict[str, str]:
    """Return the leases of the claim that are gone from the hub, and in whose place none was made: UID -> alias."""
    places = all_nodes(claim)
    served = successors_of(places, tools)
    return {
        p.lease_uid: p.lease
        for p in places
        if p.lease_uid not in served and tools.lease(LeaseUID(p.lease_uid)) is None
    }


def _silent_since(lease: GpuLease) -> Millis | None:
    said = find_condition(lease.status.conditions, "Reachable")
    if said is None or said.status is Status.TRUE:
        return None
    return lease.status.last_seen_time or said.last_transition_time


def _way_out(claim: GpuClaim, gone: Mapping[str, str]) -> str:
    word = claim.spec.force_release
    if word is not None and word.claim_uid != claim.metadata.own_uid:
        return (
            f"forceRelease.claimUID names another claim; of this one it is {claim.metadata.own_uid}"
        )
    final = claim.status.release is not None and claim.status.release.cause.is_final
    if word is not None and not final and claim.metadata.deletion_timestamp is None:
        return "forceRelease counts once the claim is deleted"
    if gone:
        aliases = " and ".join(sorted(set(gone.values())))
        return (
            f"the platform team restores and adopts it, or makes a lease with alias {aliases} for the same cluster, and the "
            "release goes on; or lets the claim go by its forceRelease"
        )
    return "if that lasts, the platform team lets the claim go by its forceRelease, or declares the lease lost"
