"""What a look takes for an orphan, and what not."""

from types import SimpleNamespace
from typing import Any

import pytest

from sublet.api.gpuclaim import Access, ClusterAccess
from sublet.api.gpulease import GpuLease
from sublet.api.ids import ClaimUID, ClusterUID
from sublet.api.last_word import Leftover
from sublet.drift import lookout
from sublet.drift.access import SecretState
from sublet.drift.claims import Claims
from sublet.drift.look import Sight
from sublet.drift.lookout import Lookout, Place, find_orphans, left_by
from sublet.drift.news import News
from sublet.drift.nodes import Outcome
from tests.builders.api import NOW, as_claim, as_lease, lease, uid_of
from tests.builders.fleet import bound, held, nodes
from tests.builders.wire import wire_node

GONE = ClaimUID(uid_of("gone"))
NAME = f"sublet-{GONE}-1"
HOME: dict[str, Any] = {"metadata": {"name": NAME, "labels": {"sublet.dev/claim": GONE}}}


def leaving_behind(*uids: ClaimUID) -> GpuLease:
    west = as_lease()
    left = tuple(Leftover(claim_uid=u, homes=(1,), gpus=8, since_time=NOW) for u in uids)
    return west.model_copy(update={"status": west.status.model_copy(update={"leftovers": left})})


def test_a_namespace_of_a_claim_that_nobody_has_is_an_orphan():
    sight = Sight({NAME: HOME}, {})

    (found,) = find_orphans(sight, Claims([]), {}, left_by(leaving_behind()))

    assert (found.claim_uid, found.namespaces) == (GONE, (NAME,))


def test_what_was_left_by_a_persons_word_is_known_and_no_orphan():
    sight = Sight({NAME: HOME}, {})

    assert find_orphans(sight, Claims([]), {}, left_by(leaving_behind(GONE))) == ()


async def test_each_kubeconfig_has_its_turn_however_many_clusters_there_are(
    monkeypatch: pytest.MonkeyPatch,
):
    leases = [as_lease(lease(f"west-{i}")) for i in range(5)]
    access = Access(
        secret_name="x",
        clusters=(ClusterAccess(alias="x", namespace="x", expiration_time=NOW),),
    )
    claims = []
    for each in leases:
        found = bound(held(as_claim(uid=uid_of(each.metadata.name)), each, nodes(each, 1)))
        status = found.status.model_copy(update={"access": access})
        claims.append(found.model_copy(update={"status": status}))
    asked: set[str] = set()

    async def look(_: Any) -> Sight:
        return Sight({}, {})

    async def look_at_secret(_: Any, claim: Any, __: Any) -> SecretState:
        asked.add(claim.metadata.uid)
        return SecretState.FINE

    monkeypatch.setattr(lookout, "look", look)
    monkeypatch.setattr(lookout, "look_at_secret", look_at_secret)
    monkeypatch.setattr(lookout, "reachable_sites", lambda *_: ([], []))
    looks = Lookout(SimpleNamespace(hub=None), News())  # nothing else is asked
    for _ in range(5):
        for each in leases:
            cluster: Any = SimpleNamespace(lease_uid=each.metadata.uid, nodes=lambda: ())
            uid = ClusterUID(uid_of(f"cluster of {each.metadata.name}"))
            await looks.look(uid, [Place(each, cluster)], Claims(claims), lambda _: False)

    assert asked == {c.metadata.uid for c in claims}


async def test_marks_of_so_many_nodes_are_put_back_in_one_look_and_the_rest_in_the_next(
    monkeypatch: pytest.MonkeyPatch,
):
    west = as_lease()
    bare = [wire_node(f"n{i}", uid=uid_of(f"n{i}")) for i in range(5)]
    claims = [
        bound(held(as_claim(uid=uid_of(f"claim {i}")), west, [node]))
        for i, node in enumerate(nodes(west, 5))
    ]
    for each, node in zip(claims, bare, strict=True):
        node.metadata.uid = each.status.allocation.placements[0].node_uid
    mended = list[str]()

    async def look(_: Any) -> Sight:
        return Sight({}, {})

    async def mend_node(_: Any, __: Any, name: str, *___: Any) -> Outcome:
        mended.append(name)
        return Outcome()

    monkeypatch.setattr(lookout, "look", look)
    monkeypatch.setattr(lookout, "mend_node", mend_node)
    monkeypatch.setattr(lookout, "reachable_sites", lambda *_: ([], []))
    monkeypatch.setattr(lookout, "_NODES_MENDED", 2)
    cluster: Any = SimpleNamespace(
        lease_uid=west.metadata.uid,
        nodes=lambda: tuple(n for n in bare if n.metadata.name not in mended),
        note_doubt=lambda *_, **__: None,
        inventory=lambda: SimpleNamespace(nodes={}),
        is_foreign=lambda _: False,
    )
    looks = Lookout(SimpleNamespace(hub=None), News())
    seen = [
        (await looks.look(ClusterUID(uid_of("c")), [Place(west, cluster)], Claims(claims), lambda _: False)).has_more
        for _ in range(3)
    ]  # fmt: skip

    assert seen == [True, True, False]
    assert mended == ["n0", "n1", "n2", "n3", "n4"]


async def test_a_node_that_is_gone_is_doubted_no_more(monkeypatch: pytest.MonkeyPatch):
    west = as_lease()
    node = wire_node("n0", labels={f"claim.sublet.dev/{GONE}": "true"})
    shown = list[Any]()
    doubts = list[bool]()

    async def look(_: Any) -> Sight:
        return Sight({}, {})

    monkeypatch.setattr(lookout, "look", look)
    cluster: Any = SimpleNamespace(
        lease_uid=west.metadata.uid,
        nodes=lambda: tuple(shown),
        note_doubt=lambda _, in_doubt: doubts.append(in_doubt),
        inventory=lambda: SimpleNamespace(nodes={}),
        is_foreign=lambda _: False,
    )
    looks = Lookout(SimpleNamespace(hub=None), News())
    for is_there in (True, True, False, True):
        shown = [node] if is_there else []
        await looks.look(
            ClusterUID(uid_of("c")), [Place(west, cluster)], Claims([]), lambda _: False
        )

    assert doubts == [False, True, False]  # what is seen once may be a cache that is behind
