"""Whatever happens to small fleets: what the book decides, carried out to its end, is a world without violations."""

from collections.abc import Iterator
from dataclasses import replace

from hypothesis import HealthCheck, given, settings

from sublet.api.claim_status import released_ms
from sublet.api.common import is_true
from sublet.api.gpuclaim import GpuClaim
from sublet.api.kinds import RELEASE_FINALIZER
from sublet.book.view import View
from sublet.verify.find import find_violations
from sublet.verify.world import World
from tests.builders.fleet import after, bound
from tests.builders.histories import Tick, histories, passes
from tests.builders.worlds import sound_world, with_access

UNTIMED = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])


def carried_out(each: GpuClaim) -> GpuClaim:
    """Return a claim with its finalizer, and bound if it has nodes and isn't being released."""
    meta = each.metadata.model_copy(update={"finalizers": (RELEASE_FINALIZER,)})
    each = each.model_copy(update={"metadata": meta})
    allocation, conditions = each.status.allocation, each.status.conditions
    if allocation is None or not allocation.placements or released_ms(each) is not None:
        return each
    if not is_true(conditions, "Reserved") or is_true(conditions, "Releasing"):
        return each
    return with_access(bound(each, allocation.decided_time))


def worlds(history: tuple[View, list[Tick]]) -> Iterator[World]:
    """Yield what there is after each pass; of a lease whose term was edited nobody knows since when it is so."""
    edited: set[str] = set()
    for before, made in passes(history):
        seen = after(before, made)
        edited |= {
            x.metadata.uid for x, y in zip(seen.leases, history[0].leases, strict=True) if x != y
        }
        fleet = [(x, before.inventories[x.metadata.uid].nodes.values()) for x in seen.leases]
        world = sound_world(*map(carried_out, seen.claims), fleet=fleet, now_ms=seen.now_ms)
        known = {uid: at for uid, at in world.spec_changed.items() if uid not in edited}
        yield replace(world, spec_changed=known)


@settings(UNTIMED)
@given(histories())
def test_what_the_book_decides_violates_nothing(history):
    for world in worlds(history):
        assert list(find_violations(world, settled=False)) == []


@settings(UNTIMED)
@given(histories())
def test_a_claim_taken_off_a_node_that_it_is_bound_to_is_always_found(history):
    for world in worlds(history):
        if not any(is_true(c.status.conditions, "Bound") for c in world.claims):
            continue
        clusters = tuple(
            replace(c, nodes=tuple(replace(n, book="", claim_labels=frozenset()) for n in c.nodes))
            for c in world.clusters
        )
        wounded = replace(world, clusters=clusters)
        assert any(v.id == "S1" for v in find_violations(wounded, settled=False))
