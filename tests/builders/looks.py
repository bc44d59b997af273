"""Looks for drift at one cluster with one bound claim: what is judged and put back is the real thing, but for the servers."""

from types import SimpleNamespace
from typing import Any

import pytest

from sublet.api import bound_status
from sublet.api.gpuclaim import Access, GpuClaim
from sublet.api.ids import ClusterUID
from sublet.binder.secret import SecretState
from sublet.drift import lookout, nodes as drift_nodes
from sublet.drift.claims import Claims
from sublet.drift.finding import Reason
from sublet.drift.look import Sight
from sublet.drift.lookout import Lookout, Place
from sublet.drift.news import News
from sublet.drift.nodes import Outcome
from sublet.fleet.nodebook import LEASE_LABEL
from sublet.kube.wire import Node
from tests.builders.api import NOW, as_claim, as_lease, uid_of
from tests.builders.clusters import Endings, looking_tools
from tests.builders.fleet import bound, held, nodes
from tests.builders.wire import wire_node


class Looked:
    """Looks of a new process at one cluster with one bound claim, which says of drift what the process before said."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, reason: Reason, ledger: Endings | None = None
    ) -> None:
        west = as_lease()
        claim = bound(held(as_claim(), west, nodes(west, 1)))
        status = bound_status.degraded(claim, reason.value, "long ago", NOW)
        access = Access(secret_name="x", clusters=())
        self.claim = claim.model_copy(
            update={"status": status.model_copy(update={"access": access})}
        )
        self.node = wire_node("n0", labels={LEASE_LABEL: west.metadata.uid})
        self.node.metadata.uid = claim.status.allocation.placements[0].node_uid
        others = [wire_node(f"o{i}", labels={LEASE_LABEL: west.metadata.uid}) for i in range(20)]
        self.uid, self.news, self.foreign = ClusterUID(uid_of("c")), News(), set[str]()
        self.cluster: Any = SimpleNamespace(
            lease_uid=west.metadata.uid,
            nodes=lambda: (*others, self.node),
            note_doubt=lambda *_, **__: None,
            inventory=lambda: SimpleNamespace(nodes={}),
            is_foreign=lambda name: name in self.foreign,
            note_foreign=lambda name, foreign: self.foreign.add(name) if foreign else None,
            observe=lambda _: None,
            facts=SimpleNamespace(cluster_uid=None),
        )
        self.place = Place(west, self.cluster)
        tools = looking_tools(ledger)
        self.looks = Lookout(tools, self.news)
        self.has_pods: set[str] = set()
        self.mended: list[str] = []

        async def look(_: Any) -> Sight:
            return Sight({}, {})

        async def put_back(_: Any, node: Node, __: Any) -> Outcome:
            self.mended.append(node.metadata.name)
            return Outcome()

        async def has_foreign_pods(_: Any, name: str) -> bool:
            return name in self.has_pods

        async def foreign_pods(*_: Any) -> bool:
            return False  # whoever puts marks back meets none; what is there is found by the look at pods

        async def get_as(path: str, _: Any) -> Node:
            return next(n for n in (*others, self.node) if path.endswith(f"/{n.metadata.name}"))

        async def get(_: Any) -> GpuClaim:
            return self.claim

        async def look_at_secret(*_: Any) -> SecretState:
            return SecretState.FINE

        self.cluster.api = SimpleNamespace(get_as=get_as)
        tools.claims = SimpleNamespace(get=get)
        monkeypatch.setattr(lookout, "look", look)
        monkeypatch.setattr(drift_nodes, "_put_back", put_back)
        monkeypatch.setattr(drift_nodes, "foreign_pods", foreign_pods)
        monkeypatch.setattr(lookout, "has_foreign_pods", has_foreign_pods)
        monkeypatch.setattr(lookout, "look_at_secret", look_at_secret)
        monkeypatch.setattr(lookout, "reachable_sites", lambda *_: ([], []))

    async def look(self) -> bool:
        """Look once; return whether the claim is to be put right."""
        claims = Claims([self.claim])
        return bool((await self.looks.look(self.uid, [self.place], claims, lambda _: False)).unwell)

    @property
    def said(self) -> list[str]:
        """What the claim is told."""
        return [said.message for _, said in self.news.sayings(lambda _: self.claim)]
