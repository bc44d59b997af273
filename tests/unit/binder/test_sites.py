"""What goes wrong with a leased cluster is said of that cluster."""

import pytest

from sublet.api.claim_status import allocation_of
from sublet.api.ids import ClusterUID
from sublet.binder.ports import ClusterRefuses, ClusterSilent
from sublet.binder.sites import Site, may_be_at, sites_of
from sublet.binder.slots import Urgency
from sublet.kube.errors import BadAnswer, Unreachable
from tests.builders.api import uid_of
from tests.builders.clusters import CLUSTER, Hub, NotedApi, tools_of
from tests.builders.moves import leased, running

WEST = leased("west")
OTHER = "00000000-0000-4000-8000-00000000e15e"


def west() -> Site:
    """Return the one site of a claim."""
    each, uid = running(WEST), WEST[0].metadata.uid
    tools = tools_of(Hub(each), {uid: WEST[0]}, {uid: NotedApi(uid_of("train"))})
    assert each.status.allocation is not None
    (site,) = sites_of(each, tools, each.status.allocation.placements)
    return site


@pytest.mark.parametrize(
    "error",
    [BadAnswer("too much"), KeyError("metadata"), TypeError(), AttributeError(), ValueError()],
)
async def test_a_cluster_that_answers_nonsense_refuses_the_step_in_our_words(error: Exception):
    said = "west refuses a step: what it answers isn't what a Kubernetes API server answers"

    with pytest.raises(ClusterRefuses, match=said):
        async with west().asking(Urgency.SETUP):
            raise error


@pytest.mark.parametrize(
    ("asked_for", "pinned", "may_be"),
    [
        (None, None, True),
        (None, CLUSTER, True),
        (CLUSTER, OTHER, True),
        (OTHER, CLUSTER, True),
        (None, OTHER, False),
        (OTHER, OTHER, False),
    ],
)
def test_a_node_is_elsewhere_only_if_all_that_is_known_of_its_lease_says_so(
    asked_for: str | None, pinned: str | None, may_be: bool
):
    lease = WEST[0]
    ref = lease.spec.cluster_ref.model_copy(update={"cluster_uid": asked_for})
    lease = lease.model_copy(
        update={
            "spec": lease.spec.model_copy(update={"cluster_ref": ref}),
            "status": lease.status.model_copy(update={"cluster_uid": pinned}),
        }
    )
    (place,) = allocation_of(running(WEST)).placements

    assert may_be_at(place, ClusterUID(CLUSTER), lambda _: lease) is may_be


def test_a_node_of_a_lease_that_is_gone_may_be_anywhere():
    (place,) = allocation_of(running(WEST)).placements
    assert may_be_at(place, ClusterUID(CLUSTER), lambda _: None)


async def test_a_cluster_that_does_not_answer_is_waited_for():
    with pytest.raises(ClusterSilent, match="waiting for west"):
        async with west().asking(Urgency.SETUP):
            raise Unreachable("no answer")


async def test_where_nonsense_was_read_is_logged_without_a_word_of_it(capsys):
    with pytest.raises(ClusterRefuses):
        async with west().asking(Urgency.SETUP):
            raise KeyError("what the landlord would have us write")
    logged = capsys.readouterr().out

    assert "KeyError at test_sites.py:" in logged
    assert "landlord" not in logged
