"""Nodes of which more are to be put right than one look does, and some can't be."""

from types import SimpleNamespace
from typing import Any

import pytest

from sublet.api.ids import ClusterUID
from sublet.drift import lookout
from sublet.drift.claims import Claims
from sublet.drift.finding import Reason
from sublet.drift.look import Sight
from sublet.drift.lookout import Lookout, Place
from sublet.drift.news import News
from sublet.drift.nodes import Outcome
from tests.builders.api import as_claim, as_lease, uid_of
from tests.builders.clusters import looking_tools
from tests.builders.fleet import bound, held, nodes
from tests.builders.wire import wire_node


class Bare:
    """Looks at five claimed nodes without marks, n0 to n4, of which two are tried in one look."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        west = as_lease()
        shown = [wire_node(f"n{i}", uid=uid_of(f"n{i}")) for i in range(5)]
        claims = [
            bound(held(as_claim(uid=uid_of(f"claim {i}")), west, [node]))
            for i, node in enumerate(nodes(west, 5))
        ]
        for each, node in zip(claims, shown, strict=True):
            node.metadata.uid = each.status.allocation.placements[0].node_uid
        self.claims = {str(c.metadata.uid): c for c in claims}
        self.tried = list[str]()
        self.refused = set[str]()
        self.news = News()
        cluster: Any = SimpleNamespace(
            lease_uid=west.metadata.uid,
            nodes=lambda: tuple(n for n in shown if n.metadata.name not in {*self.tried} - self.refused),
            note_doubt=lambda *_, **__: None,
            inventory=lambda: SimpleNamespace(nodes={}),
            is_foreign=lambda _: False,
        )  # fmt: skip
        self.place = Place(west, cluster)
        self.looks = Lookout(looking_tools(), self.news)

        async def look(_: Any) -> Sight:
            return Sight({}, {})

        async def mend_node(_: Any, __: Any, name: str, *___: Any) -> Outcome:
            self.tried.append(name)
            return Outcome(doubt="refused" if name in self.refused else "")

        monkeypatch.setattr(lookout, "look", look)
        monkeypatch.setattr(lookout, "mend_node", mend_node)
        monkeypatch.setattr(lookout, "reachable_sites", lambda *_: ([], []))
        monkeypatch.setattr(lookout, "_NODES_MENDED", 2)

    async def look(self) -> bool:
        """Look once; return whether there is more to be done soon."""
        claims = Claims(self.claims.values())
        uid = ClusterUID(uid_of("c"))
        return (await self.looks.look(uid, [self.place], claims, lambda _: False)).has_more

    @property
    def said(self) -> int:
        """Claims that are told that their node is in doubt, if they were told now."""
        found = self.news.sayings(self.claims.get)
        return sum(said.reason == Reason.NODE_IN_DOUBT for _, said in found)


async def test_marks_of_so_many_nodes_are_put_back_in_one_look_and_the_rest_in_the_next(
    monkeypatch: pytest.MonkeyPatch,
):
    world = Bare(monkeypatch)
    seen = [await world.look() for _ in range(3)]

    assert seen == [True, True, False]
    assert world.tried == ["n0", "n1", "n2", "n3", "n4"]


async def test_nodes_whose_marks_are_refused_keep_none_from_its_turn(
    monkeypatch: pytest.MonkeyPatch,
):
    world = Bare(monkeypatch)
    world.refused = {"n0", "n1", "n2", "n3"}
    for _ in range(3):
        await world.look()

    assert "n4" in world.tried


async def test_of_nodes_whose_marks_are_refused_each_claim_is_told_and_stays_told_between_two_turns(
    monkeypatch: pytest.MonkeyPatch,
):
    world = Bare(monkeypatch)
    world.refused = {"n0", "n1", "n2", "n3", "n4"}
    said = [(await world.look(), world.said) for _ in range(8)]

    assert said == [(True, 0), (True, 0), (True, 1), (True, 3), *[(False, 5)] * 4]
    assert {name: world.tried.count(name) for name in world.refused} == {"n0": 4, "n1": 3, "n2": 3, "n3": 3, "n4": 3}  # fmt: skip
