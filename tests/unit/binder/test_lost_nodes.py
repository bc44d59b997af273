"""What a claim that loses a node is told: nothing of who else is on it, and nothing in its landlord's words."""

import pytest
from structlog.testing import capture_logs

from sublet.api.claim_status import allocation_of
from sublet.binder.locks import lock_node
from sublet.binder.ports import LostRace
from sublet.fleet.nodebook import NODE
from tests.builders.api import as_claim, as_lease, uid_of
from tests.builders.clusters import Hub, NotedApi, tools_of
from tests.builders.fleet import held, nodes
from tests.builders.wire import our_node

WEST = as_lease()
NODES = nodes(WEST, 1)
TRAIN = held(as_claim(), WEST, NODES)
OTHER = uid_of("other")


async def refusal(book: str) -> str:
    """Return why a claim loses a node whose book says this when it is read live."""
    node = our_node(WEST, book, name=NODES[0].name)
    (place,) = allocation_of(TRAIN).placements
    node.metadata.uid = node.metadata.annotations[NODE] = place.node_uid
    uid = WEST.metadata.uid
    api = NotedApi(TRAIN.metadata.uid, {f"/api/v1/nodes/{place.node}": node})
    cluster = tools_of(Hub(TRAIN), {uid: WEST}, {uid: api}).cluster(uid)
    with pytest.raises(LostRace) as lost:
        await lock_node(cluster, WEST, place, TRAIN.metadata.uid, uid_of("acme"))
    return str(lost.value)


@pytest.mark.parametrize(
    "book", [f"{OTHER}=4, {OTHER}=4", "buy here " * 5_000], ids=["another claim's", "long"]
)
async def test_a_book_that_cant_be_read_is_said_in_words_of_our_own(book: str):
    assert await refusal(book) == f"node {NODES[0].name}: its book can't be read"


async def test_the_log_has_what_stands_in_such_a_book_as_far_as_it_is_short():
    with capture_logs() as lines:
        await refusal("buy here " * 5_000)

    (error,) = [line["error"] for line in lines]
    assert "buy here" in error
    assert len(error) < 200


async def test_how_much_room_a_node_has_left_is_for_the_log_alone():
    with capture_logs() as lines:
        said = await refusal(f"{OTHER}=5")

    assert said == f"node {NODES[0].name} hasn't room for it"
    assert [line["error"] for line in lines] == ["3 GPUs left, not 8"]
