"""What comes with a part of a node in CPU and memory is never left out because the node isn't seen."""

from types import SimpleNamespace
from typing import Any

import pytest

from sublet.api.claim_status import allocation_of
from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpuclass import HostShare
from sublet.api.gpulease import NodeSharing
from sublet.binder import bind as binding
from sublet.binder.bind import bind, furnish
from sublet.binder.leave import vacate
from sublet.binder.namespace import contents, quota_hard
from sublet.binder.ports import ClusterSilent
from sublet.binder.sites import Site, is_share_known, sites_of
from sublet.kube.wire import Node
from tests.builders.api import as_class, gpu_class
from tests.builders.clusters import Hub, NotedApi, tools_of
from tests.builders.moves import leased, running
from tests.builders.wire import wire_node

WEST = leased("west")
UID = WEST[0].metadata.uid
EDITED = {"cpuPerGpu": 4, "memoryMiBPerGpu": 512}
SHARE = HostShare.model_validate({"cpuPerGpu": 8, "memoryMiBPerGpu": 1024})


def part(share: HostShare | None = SHARE, *, noted: bool = True) -> GpuClaim:
    """Return a claim with two GPUs of a node, and what was agreed to come with each, if the reservation notes that."""
    each = running(WEST)
    (place,) = allocation_of(each).placements
    update = {
        "placements": (place.model_copy(update={"gpus": 2}),),
        "host_share": share,
        "host_share_noted": noted,
    }
    allocation = allocation_of(each).model_copy(update=update)
    return each.model_copy(
        update={"status": each.status.model_copy(update={"allocation": allocation})}
    )


class West:
    """The claim's cluster, of which no node is seen yet."""

    def __init__(self, claim: GpuClaim) -> None:
        self.claim, self.api = claim, NotedApi(claim.metadata.uid)
        self.tools: Any = tools_of(Hub(claim), {UID: WEST[0]}, {UID: self.api})
        self._seen: dict[str, Node] = {}
        self.cluster: Any = self.tools.cluster(UID)
        self.cluster.node = self._seen.get

    def lose(self) -> None:
        """Let the node be gone, as its cluster says when it is asked for it by name."""
        (place,) = allocation_of(self.claim).placements
        self._seen.pop(place.node, None)
        self.cluster.inventory = lambda: SimpleNamespace(gone=frozenset({place.node_uid}))

    def see(self) -> None:
        (place,) = allocation_of(self.claim).placements
        self._seen[place.node] = wire_node(place.node)

    @property
    def site(self) -> Site:
        (found,) = sites_of(self.claim, self.tools, allocation_of(self.claim).placements)
        return found


async def test_no_quota_is_written_while_the_node_isnt_seen():
    west = West(part())
    with pytest.raises(ClusterSilent):
        await furnish(west.site)
    assert west.api.calls == []

    west.see()
    await furnish(west.site)
    assert west.site.home.host_share == SHARE
    assert west.api.calls


async def test_nothing_is_waited_for_where_nothing_comes_with_a_gpu():
    west = West(part(share=None))
    await furnish(west.site)
    assert west.api.calls


def beside_others(west: West) -> West:
    """Let other tenants on the lease's nodes, too."""
    spec = WEST[0].spec.model_copy(update={"node_sharing": NodeSharing.ANY_TENANT})
    west.tools.lease = {UID: WEST[0].model_copy(update={"spec": spec})}.get
    return west


async def test_where_others_may_be_on_the_node_pods_are_limited_too_and_the_node_must_be_seen():
    west = beside_others(West(part(share=None)))
    with pytest.raises(ClusterSilent):
        await furnish(west.site)

    west.see()
    assert quota_hard(west.site.home)["pods"] == "24"


def test_a_part_of_a_node_has_a_part_of_its_disk_where_the_class_says_how_much():
    """What containers write, their logs and emptyDirs: one tenant that fills a disk has the kubelet end its neighbours' pods."""
    disk = HostShare.model_validate({**EDITED, "storageMiBPerGpu": 1024})
    west = West(part(share=disk))
    west.see()

    hard = quota_hard(west.site.home)
    (limits,) = limit_range(west)["spec"]["limits"]
    for said in ("requests.ephemeral-storage", "limits.ephemeral-storage"):
        assert hard[said] == "2048Mi"
    assert limits["default"]["ephemeral-storage"] == "1024Mi"
    assert limits["defaultRequest"]["ephemeral-storage"] == "64Mi"


def test_without_a_word_on_disks_none_is_limited():
    west = West(part())
    west.see()

    assert "ephemeral-storage" not in str([quota_hard(west.site.home), limit_range(west)])


def limit_range(west: West) -> dict[str, Any]:
    """Return what containers of the claim get that name nothing themselves."""
    found = [body for path, body in contents(west.site.home) if "/limitranges/" in path]
    return found[0]


async def test_the_node_that_is_waited_for_is_named():
    with pytest.raises(ClusterSilent, match="west: the claim's node west-0000 isn't seen there"):
        await furnish(West(part()).site)


@pytest.mark.parametrize("any_tenant", [False, True])
async def test_a_node_that_is_gone_is_waited_for_no_more(any_tenant: bool):
    west = West(part(None if any_tenant else SHARE))
    west = beside_others(west) if any_tenant else west
    west.lose()
    await furnish(west.site)
    assert west.api.calls


@pytest.mark.parametrize("any_tenant", [False, True])
def test_no_quota_is_called_changed_by_what_is_not_known_of_a_node_that_is_gone(any_tenant: bool):
    west = West(part(None if any_tenant else SHARE))
    west = beside_others(west) if any_tenant else west
    west.lose()
    assert not is_share_known(west.claim, west.site, west.tools)


def offering(west: West, share: dict[str, int] | None) -> West:
    """Let the claim's class say what comes with a GPU now."""
    west.tools.class_ = lambda _: as_class(gpu_class(**({"hostShare": share} if share else {})))
    west.see()
    return west


def test_a_class_that_is_edited_limits_nothing_for_which_no_limit_was_agreed():
    assert offering(West(part(share=None)), EDITED).site.home.host_share is None


def test_a_reservation_that_notes_nothing_of_it_has_what_its_class_says():
    west = offering(West(part(share=None, noted=False)), EDITED)
    assert west.site.home.host_share == HostShare.model_validate(EDITED)


def test_nobody_knows_what_comes_with_a_gpu_where_neither_reservation_nor_class_says_it():
    west = West(part(share=None, noted=False))
    west.see()
    assert not is_share_known(west.claim, west.site, west.tools)


def test_a_whole_node_and_one_of_the_own_tenant_alone_have_all_their_slots():
    alone = West(part())
    alone.see()
    assert quota_hard(alone.site.home)["pods"] == "500"

    whole = beside_others(West(running(WEST)))
    whole.see()
    assert quota_hard(whole.site.home)["pods"] == "500"


async def test_the_quota_of_a_namespace_that_stays_keeps_its_limits_too():
    west = West(part())

    async def guard() -> GpuClaim:
        return west.claim

    with pytest.raises(ClusterSilent):
        await vacate([west.site.only(lambda _: False)], [west.site], guard)
    assert west.api.calls == []


async def test_a_bind_furnishes_by_what_its_lock_has_shown(monkeypatch: pytest.MonkeyPatch):
    west = West(part())
    furnished: list[Site] = []

    async def lock_all(*_: object) -> None:
        west.see()

    async def settle_in(sites: list[Site], _: object) -> None:
        furnished.extend(sites)

    monkeypatch.setattr(binding, "lock_all", lock_all)
    monkeypatch.setattr(binding, "settle_in", settle_in)

    def stop_after_furnishing() -> None:
        if furnished:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await bind(west.claim, west.tools, stop_after_furnishing)
    assert [s.home.host_share for s in furnished] == [SHARE]
