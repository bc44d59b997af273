"""A node that is locked for a claim is handed over only if it shows, live, what the claim was given of it."""

import pytest

from sublet.api.claim_status import allocation_of
from sublet.api.ids import ClaimUID, TenantUID
from sublet.binder.locks import UnfitNode, lock_node
from sublet.fleet.nodebook import GPU, NODE
from tests.builders.api import as_claim, as_lease
from tests.builders.clusters import Hub, LiveNodes, tools_of
from tests.builders.fleet import held, nodes
from tests.builders.wire import our_node

WEST = as_lease()
LEASE = WEST.metadata.uid
NODES = nodes(WEST, 1)
TRAIN = held(as_claim(), WEST, NODES)


async def test_a_node_that_lost_a_gpu_after_it_was_locked_isnt_handed_over_whatever_its_labels_say():
    (place,) = allocation_of(TRAIN).placements
    tenant = allocation_of(TRAIN).tenant_uid
    node = our_node(WEST, f"{TRAIN.metadata.uid}=8", tenant, name=place.node)
    node.metadata.uid = node.metadata.annotations[NODE] = place.node_uid
    node.metadata.labels[f"{GPU}.count"] = node.status.allocatable[GPU] = "7"
    api = LiveNodes(TRAIN.metadata.uid, {f"/api/v1/nodes/{place.node}": node})
    cluster = tools_of(Hub(TRAIN), {LEASE: WEST}, {LEASE: api}).cluster(LEASE)

    with pytest.raises(UnfitNode, match="GpusLost"):
        await lock_node(cluster, WEST, place, ClaimUID(TRAIN.metadata.uid), TenantUID(tenant))
