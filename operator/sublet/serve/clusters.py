"""Gauges of the clusters behind: whether they answer, since when something hangs there, and what their clocks say."""

from collections.abc import Iterable, Iterator, Sequence

from prometheus_client.core import Metric

from sublet.api.common import Status, find_condition
from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.ids import LeaseUID
from sublet.api.move_status import all_nodes
from sublet.api.relocation import PlacedNode
from sublet.api.times import MS_PER_SECOND, Millis
from sublet.book.holdings import holds
from sublet.book.rests import rested_ms
from sublet.serve.families import gauge
from sublet.serve.ports import Observed

_Going = tuple[Sequence[PlacedNode], Millis, Millis | None]
"""Nodes that are given back, since when, and since when no pod is on them"""


def cluster_families(observed: Observed, now_ms: Millis) -> Iterator[Metric]:
    """Yield the gauges of leased clusters and of the hub."""
    leases = observed.leases()
    views = [(x.metadata.name, observed.cluster(LeaseUID(x.metadata.uid))) for x in leases]
    reach = [((name,), float(view.reachable)) for name, view in views]
    yield gauge("sublet_cluster_reachable", "1 while a leased cluster answers.", ["lease"], reach)
    silent = [
        ((x.metadata.name,), x.status.last_seen_time / MS_PER_SECOND)
        for x in leases
        if x.status.last_seen_time is not None
    ]
    text = "When a leased cluster that doesn't answer was last seen to work."
    yield gauge("sublet_cluster_last_seen_timestamp_seconds", text, ["lease"], silent)
    stale = [((name,), view.stale_seconds) for name, view in views]
    text = "Seconds since a leased cluster's node watch was last heard."
    yield gauge("sublet_cluster_stale_seconds", text, ["lease"], stale)
    ahead = [
        ((name,), float(view.clock_ahead_seconds))
        for name, view in views
        if view.clock_ahead_seconds is not None
    ]
    text = "By how much a leased cluster's clock is ahead of ours; 0 while they agree."
    yield gauge("sublet_cluster_clock_ahead_seconds", text, ["lease"], ahead)
    expiry = [
        ((name,), view.credentials_expire_ms / MS_PER_SECOND)
        for name, view in views
        if view.credentials_expire_ms is not None
    ]
    text = "When the credential of a leased cluster ends, by its own words."
    yield gauge("sublet_lease_credentials_expiry_timestamp_seconds", text, ["lease"], expiry)
    since = _releasing_since(observed.claims(), leases, now_ms)
    oldest = [
        ((x.metadata.name,), since[x.metadata.uid] / MS_PER_SECOND)
        for x in leases
        if x.metadata.uid in since
    ]
    text = "When the oldest release that isn't over began, or its nodes' rest was over; its GPUs are held and sold to nobody."
    yield gauge("sublet_lease_releasing_since_timestamp_seconds", text, ["lease"], oldest)
    hub = observed.hub_ahead_seconds()
    text = "By how much the hub's clock is ahead of ours."
    yield gauge(
        "sublet_hub_clock_ahead_seconds", text, [], [((), float(hub))] if hub is not None else []
    )


def _releasing_since(
    claims: Iterable[GpuClaim], leases: Iterable[GpuLease], now_ms: Millis
) -> dict[str, Millis]:
    """Return lease UID -> since when its oldest release that is under way is waited for, rests aside."""
    known = {x.metadata.uid: x for x in leases}
    found: dict[str, Millis] = {}
    for claim in claims:
        for places, began, vacated in _releases(claim) if holds(claim) else ():
            since = rested_ms(places, began, vacated, known.get)
            for uid in {p.lease_uid for p in places} if since <= now_ms else ():
                found[uid] = min(since, found.get(uid, since))
    return found


def _releases(claim: GpuClaim) -> Iterator[_Going]:
    """Yield what a claim gives back; of one that lives on, what it left."""
    going = find_condition(claim.status.conditions, "Releasing")
    if going is not None and going.status is Status.TRUE:
        release = claim.status.release
        vacated = release.vacated_time if release is not None else None
        yield all_nodes(claim), going.last_transition_time, vacated
        return
    for left in claim.status.leaving:
        if left.freed_time is None:
            yield left.placements, left.release_time, left.vacated_time
