"""Bound claims that may come to other nodes: leases that end, nodes that fail, and what is decided about them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sublet.api.gpuclaim import Access, ClusterAccess, GpuClaim
from sublet.api.relocation import LeaseGpus, Leaving, MoveCause, PlacedNode, ReleaseCause
from sublet.api.times import Millis, format_instant
from sublet.book.decisions import Notice
from sublet.book.inventory import Unfit
from sublet.book.plan import plan
from tests.builders.api import NOW, as_claim, as_class, as_lease, claim, gpu_class, lease
from tests.builders.fleet import bound, held, inventory, nodes, with_notices
from tests.builders.windows import at

LEAD = 24
CLASSES = (as_class(gpu_class(moveLeadSeconds=LEAD * 3_600)),)


def leased(name: str, end: float | None = None, count: int = 2, **spec):
    """Return a lease of whole nodes, to an hour from NOW, and its nodes."""
    committed = spec.pop("committed", 8 * count)
    until = format_instant(at(end)) if end is not None else None
    each = as_lease(lease(name, committed=committed, end=until, **spec))
    return each, inventory(each, nodes(each, count))


def running(pair, name: str = "train", count: int = 1, *, end: float | None = None, **spec):
    """Return a bound claim on the first nodes of a lease, to the lease's end."""
    each, found = pair
    body = claim(name, gpus=8 * count, **spec)
    places = list(found.nodes.values())[:count]
    until = at(end) if end is not None else None
    cause = ReleaseCause.LEASE_ENDED if end is not None else None
    return bound(held(as_claim(body), each, places, until_ms=until, cause=cause))


def left(places: Sequence[PlacedNode], **fields: Any) -> Leaving:
    """Return what a claim left of which these nodes failed: billed up to NOW, and not free yet."""
    gpus: Counter[str] = Counter()
    for place in places:
        gpus[place.lease_uid] += place.gpus
    known = {
        "sequence": 1,
        "cause": MoveCause.NODE_FAILED,
        "bound_time": NOW - 1_000,
        "release_time": NOW,
        "metered": tuple(LeaseGpus(lease_uid=uid, gpus=n) for uid, n in gpus.items()),
        "placements": tuple(places),
    }
    return Leaving(**known | fields)


def let_in(each: GpuClaim, *aliases: str, renewal_ms: int = NOW + 10**9) -> GpuClaim:
    """Return a bound claim whose kubeconfig leads into its first namespace in these clusters."""
    home = f"sublet-{each.metadata.uid}-1"
    clusters = tuple(
        ClusterAccess(alias=alias, namespace=home, expiration_time=Millis(NOW + 10**10))
        for alias in aliases
    )
    access = Access(secret_name="s", clusters=clusters, renewal_time=Millis(renewal_ms))
    return each.model_copy(update={"status": each.status.model_copy(update={"access": access})})


def decided(seen):
    """Return what a pass decides, notices aside, once its claims were told of their ends."""
    return [d for d in plan(with_notices(seen)).decisions if not isinstance(d, Notice)]


def on_sick_node(pair, index: int = 0, since_ms: int = NOW):
    """Return the lease with one node that is not ready."""
    each, found = pair
    all_nodes_ = list(found.nodes.values())
    all_nodes_[index] = replace(all_nodes_[index], unfit=Unfit.NOT_READY, sick_since_ms=since_ms)
    return each, replace(found, nodes={n.name: n for n in all_nodes_})
