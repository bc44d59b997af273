"""Gauges of the clusters behind: whether they answer, since when something hangs there, and what their clocks say."""

from collections.abc import Iterable, Iterator

from prometheus_client.core import Metric

from sublet.api.common import Status, find_condition
from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import LeaseUID
from sublet.api.move_status import all_nodes
from sublet.api.times import MS_PER_SECOND, Millis
from sublet.book.holdings import holds
from sublet.serve.families import gauge
from sublet.serve.ports import Observed


def cluster_families(observed: Observed) -> Iterator[Metric]:
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
    since = _releasing_since(observed.claims())
    oldest = [
        ((x.metadata.name,), since[x.metadata.uid] / MS_PER_SECOND)
        for x in leases
        if x.metadata.uid in since
    ]
    text = "When the oldest release that isn't over began; its GPUs are held and sold to nobody."
    yield gauge("sublet_lease_releasing_since_timestamp_seconds", text, ["lease"], oldest)
    hub = observed.hub_ahead_seconds()
    text = "By how much the hub's clock is ahead of ours."
    yield gauge(
        "sublet_hub_clock_ahead_seconds", text, [], [((), float(hub))] if hub is not None else []
    )


def _releasing_since(claims: Iterable[GpuClaim]) -> dict[str, Millis]:
    """Return lease UID -> when the oldest release that is under way there began."""
    found: dict[str, Millis] = {}
    for claim in claims:
        for lease_uid, began in _releases(claim) if holds(claim) else ():
            found[lease_uid] = min(began, found.get(lease_uid, began))
    return found


def _releases(claim: GpuClaim) -> Iterator[tuple[str, Millis]]:
    """Yield the leases that have nodes which a claim gives back, and since when; of one that lives on, what it left."""
    going = find_condition(claim.status.conditions, "Releasing")
    if going is not None and going.status is Status.TRUE:
        for place in all_nodes(claim):
            yield place.lease_uid, going.last_transition_time
        return
    for left in claim.status.leaving:
        if left.vacated_time is None and left.freed_time is None:
            for place in left.placements:
                yield place.lease_uid, left.release_time
