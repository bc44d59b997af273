"""What goes wrong with a leased cluster is said of that cluster."""

import pytest

from sublet.binder.ports import ClusterRefuses, ClusterSilent
from sublet.binder.sites import Site, sites_of
from sublet.binder.slots import Urgency
from sublet.kube.errors import BadAnswer, Unreachable
from tests.builders.api import uid_of
from tests.builders.clusters import Hub, NotedApi, tools_of
from tests.builders.moves import leased, running

WEST = leased("west")


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
