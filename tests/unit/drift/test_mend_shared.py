"""A namespace that is for nodes of two leases in one cluster, of which one can't be asked: what it should hold isn't known."""

from typing import Any

import pytest

from sublet.api.claim_status import allocation_of
from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import ClusterUID
from sublet.binder.bind import furnish
from sublet.binder.ports import ClusterSilent
from sublet.binder.secret import SecretState
from sublet.binder.sites import reachable_sites
from sublet.drift import lookout, mend
from sublet.drift.claims import Claims
from sublet.drift.look import Sight
from sublet.drift.lookout import Lookout, Place
from sublet.drift.mend import mending
from sublet.drift.news import News
from tests.builders.api import as_claim, as_lease, lease
from tests.builders.clusters import CLUSTER, tools_of
from tests.builders.fleet import held, nodes
from tests.builders.mending import LEASE, WEST, Home, Writing, bound_claim, labelled

ELSEWHERE = "00000000-0000-4000-8000-00000000e15e"


def other_lease(cluster_uid: str | None):
    """Return another lease, and the cluster that it is known to lead to."""
    other = as_lease(lease("west-b"))
    status = other.status.model_copy(update={"cluster_uid": cluster_uid})
    return other.model_copy(update={"status": status})


def on_both(other, home: int | None = None) -> GpuClaim:
    """Return a bound claim with a node of each lease; `home`: the namespace of the other's."""
    claim = bound_claim()
    theirs = allocation_of(held(as_claim(), other, nodes(other, 1))).placements
    theirs = tuple(p.model_copy(update={"home": home}) for p in theirs)
    mine = allocation_of(claim)
    both = mine.model_copy(update={"placements": (*mine.placements, *theirs)})
    return claim.model_copy(update={"status": claim.status.model_copy(update={"allocation": both})})


class Both:
    """The claim, of which nothing is there any more in the one cluster that answers."""

    def __init__(
        self,
        cluster_uid: str | None,
        *,
        answers: bool,
        is_gone: bool = False,
        home: int | None = None,
    ) -> None:
        other = other_lease(cluster_uid)
        self.claim = on_both(other, home)
        self.api = Home(self.claim, None if is_gone else labelled(self.claim))
        apis = {LEASE: self.api} | ({other.metadata.uid: self.api} if answers else {})
        hub = Writing(self.claim, self.api.calls)
        self.tools: Any = tools_of(hub, {LEASE: WEST, other.metadata.uid: other}, apis)
        self.tools.hub = hub
        self.noted: list[Any] = []

    async def mend(self) -> None:
        work = mending(ClusterUID(CLUSTER), self.tools, lambda *said: self.noted.append(said))
        await work(self.claim, lambda: None)


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    async def is_fine(*_: Any) -> SecretState:
        return SecretState.FINE

    async def no_quota(_: Any) -> None: ...

    async def no_tokens(claim: GpuClaim, _: Any) -> GpuClaim:
        return claim

    monkeypatch.setattr(mend, "look_at_secret", is_fine)
    monkeypatch.setattr(lookout, "look_at_secret", is_fine)
    monkeypatch.setattr(mend, "_see_quota", no_quota)
    monkeypatch.setattr(mend, "_new_tokens", no_tokens)


@pytest.mark.parametrize("is_gone", [False, True], ids=["emptied", "deleted"])
@pytest.mark.parametrize("cluster_uid", [CLUSTER, None], ids=["same cluster", "nobody knows"])
async def test_nothing_is_written_for_one_leases_nodes_alone(
    cluster_uid: str | None, is_gone: bool
):
    both = Both(cluster_uid, answers=False, is_gone=is_gone)
    await both.mend()
    assert both.api.calls == []


@pytest.mark.parametrize("home", [None, 2], ids=["same namespace", "another namespace"])
async def test_what_was_found_of_it_before_stands(home: int | None):
    both = Both(CLUSTER, answers=False, home=home)
    await both.mend()
    assert both.noted == []


@pytest.mark.parametrize(("cluster_uid", "answers"), [(CLUSTER, True), (ELSEWHERE, False)])
async def test_it_is_put_right_where_all_that_it_is_for_is_known(cluster_uid: str, answers: bool):
    both = Both(cluster_uid, answers=answers)
    await both.mend()
    assert any(path.endswith("/networkpolicies") for path in both.api.sent("POST"))
    assert len(both.noted) == 1


@pytest.mark.parametrize(("answers", "is_unwell"), [(False, False), (True, True)])
async def test_a_look_judges_it_only_then(
    answers: bool, is_unwell: bool, monkeypatch: pytest.MonkeyPatch
):
    async def look(_: Any) -> Sight:
        return Sight({}, {})

    monkeypatch.setattr(lookout, "look", look)
    both = Both(CLUSTER, answers=answers)
    cluster = both.tools.cluster(LEASE)
    cluster.lease_uid, cluster.nodes = LEASE, lambda: ()

    found = await Lookout(both.tools, News()).look(
        ClusterUID(CLUSTER), [Place(WEST, cluster)], Claims([both.claim]), lambda _: False
    )

    assert bool(found.unwell) is is_unwell


async def test_nothing_is_furnished_for_one_leases_nodes_alone():
    both = Both(CLUSTER, answers=False)
    ((site,), _) = reachable_sites(both.claim, both.tools, allocation_of(both.claim).placements)

    with pytest.raises(ClusterSilent, match="west-b"):
        await furnish(site)
    assert both.api.calls == []
