"""When clusters are looked at, that every look ends, and that what it starts leaves the loop to others."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sublet.api.claim_status import allocation_of
from sublet.api.common import Condition, Status
from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import NodeUID
from sublet.api.last_word import LostStatus
from sublet.drift import engine
from sublet.drift.engine import Drift
from sublet.drift.lookout import Found
from sublet.drift.turns import AT_ONCE
from sublet.fleet.facts import NOT_LOOKED
from sublet.kube.errors import ServerError
from sublet.ledger.port import LedgerUnavailable
from tests.builders.api import NOW, as_claim, as_lease, lease, uid_of
from tests.builders.fleet import held, nodes
from tests.harness.fake_api import SteppedClock, eventually

WEST = as_lease(lease("west"))
EVERY_SECONDS = 20.0


class Cluster:
    """A leased cluster, by its lease; it keeps what was said of orphans there."""

    def __init__(self, name: str) -> None:
        self.facts = SimpleNamespace(synced=True, cluster_uid=uid_of(name))
        self.lease_uid = as_lease(lease(name)).metadata.uid
        self.said: list[Any] = []
        self._nodes: Any = SimpleNamespace(nodes={})

    def inventory(self) -> Any:
        return self._nodes

    def note_orphans(self, orphans: Any) -> None:
        self.said.append(orphans)


def drift(
    clock: SteppedClock, looks: Any, *names: str, binder: Any = None, claims: Any = ()
) -> tuple[Drift, dict[str, Cluster]]:
    """Return the looks at some clusters, in each of which `looks` is done; and the clusters by name."""
    clusters = {n: Cluster(n) for n in names or ("west",)}
    by_lease = {c.lease_uid: c for c in clusters.values()}

    async def nobodys(*_: object) -> None: ...

    made = Drift(
        cluster=by_lease.get,
        claims=lambda: claims,
        claim={c.metadata.uid: c for c in claims}.get,
        awaited=lambda: (),
        binder=binder or SimpleNamespace(is_busy=lambda _: False, mend=lambda *_: False),
        tools=SimpleNamespace(clock=clock, lease=lambda _: None),
        sweeper=SimpleNamespace(
            recall=lambda _: None, keep=lambda _: None, tend=nobodys, close=nobodys
        ),
        changed=lambda: None,
        every_seconds=EVERY_SECONDS,
    )
    looked: Any = SimpleNamespace(look=looks, keep=lambda *_: None)
    made._lookout = looked  # what a look does is told elsewhere
    return made, clusters


async def nothing(*_: object) -> Found:
    return Found((), ())


@pytest.mark.parametrize(
    ("shown_by", "name", "is_kept"),
    [("east", "n0", True), ("west", "n0", False), ("east", "free", False)],
)
def test_a_node_that_a_claim_has_is_kept_for_the_lease_that_it_has_it_by(
    shown_by: str, name: str, is_kept: bool
):
    claim = held(as_claim(), WEST, nodes(WEST, 1))
    (place,) = allocation_of(claim).placements
    looks, clusters = drift(SteppedClock(), nothing, "west", "east", claims=(claim,))
    cluster: Any = clusters[shown_by]
    uid = NodeUID(place.node_uid if name == "n0" else "free")

    assert looks.is_kept_for_another(cluster, uid) is is_kept


async def test_a_look_that_hangs_keeps_nobody_busy():
    clock, hung = SteppedClock(), asyncio.Event()

    async def hang(*_: object) -> None:
        await hung.wait()

    looks, _ = drift(clock, hang)
    looks.tend([WEST])
    await asyncio.sleep(0)
    clock.seconds += EVERY_SECONDS * 10
    looks.tend([WEST])

    assert looks.due_ms is None
    hung.set()


async def test_the_next_look_is_due_when_the_last_is_over():
    clock = SteppedClock()
    looks, clusters = drift(clock, nothing)
    looks.tend([WEST])
    await eventually("looked", lambda: _is_idle(looks, clusters["west"]))
    looks.tend([WEST])

    assert looks.due_ms is not None
    assert looks.due_ms - clock.now_ms() > EVERY_SECONDS * 900


def _is_idle(looks: Drift, cluster: Cluster) -> bool:
    task = looks._watches[cluster.facts.cluster_uid].task
    return task is not None and task.done()


async def test_a_look_at_a_cluster_that_drips_ends_and_it_counts_as_not_looked_at(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(engine, "_LONGEST_SECONDS", 0.01)

    async def drip(*_: object) -> Found:
        await asyncio.Event().wait()
        raise AssertionError("not reached")

    looks, clusters = drift(SteppedClock(), drip)
    looks.tend([WEST])
    await eventually("ended", lambda: _is_idle(looks, clusters["west"]))

    (said,) = clusters["west"].said
    assert said.reason == NOT_LOOKED
    assert "didn't end within" in said.message


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (ServerError(500, "InternalError", "etcd is away"), "(500 InternalError: etcd is away)"),
        (LedgerUnavailable("connection to db.internal failed"), "(the ledger can't be read)"),
        (RuntimeError("a secret"), "by a fault of the operator's"),
    ],
)
async def test_a_cluster_whose_look_failed_counts_as_not_looked_at(fault: Exception, why: str):
    async def fail(*_: object) -> Found:
        raise fault

    looks, clusters = drift(SteppedClock(), fail)
    looks.tend([WEST])
    await eventually("ended", lambda: _is_idle(looks, clusters["west"]))

    (said,) = clusters["west"].said
    assert said.reason == NOT_LOOKED
    assert why in said.message


async def test_what_only_a_person_ends_is_said_also_where_a_look_did_not_end(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(engine, "_LONGEST_SECONDS", 0.01)

    async def drip(*_: object) -> Found:
        await asyncio.Event().wait()
        raise AssertionError("not reached")

    said = Condition(
        type="Orphaned", status=Status.TRUE, reason="HubRewound", last_transition_time=NOW
    )
    west = WEST.model_copy(
        update={"status": WEST.status.model_copy(update={"conditions": (said,)})}
    )
    looks, clusters = drift(SteppedClock(), drip)
    looks.tend([west])
    await eventually("ended", lambda: _is_idle(looks, clusters["west"]))

    assert clusters["west"].said == []


async def test_clusters_that_drip_wait_for_each_other_and_others_are_looked_at(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(engine, "_LONGEST_SECONDS", 0.01)
    slow = {f"slow-{i}" for i in range(2 * engine._AT_ONCE)}
    slow_uids, looked = {uid_of(n) for n in slow}, list[str]()

    async def look(uid: str, *_: object) -> Found:
        looked.append(uid)
        if uid in slow_uids:
            await asyncio.Event().wait()
        return Found((), ())

    clock = SteppedClock()
    looks, clusters = drift(clock, look, *sorted(slow), "west")
    leases = [as_lease(lease(n)) for n in clusters]
    looks.tend(leases)
    await eventually("all ended", lambda: all(_is_idle(looks, c) for c in clusters.values()))
    looked.clear()
    monkeypatch.setattr(engine, "_LONGEST_SECONDS", 60.0)
    clock.seconds += EVERY_SECONDS
    looks.tend(leases)
    await eventually("looked at west", lambda: _is_idle(looks, clusters["west"]))

    assert looked.count(uid_of("west")) == 1
    assert len(looked) == 2
    for watch in looks._watches.values():
        if watch.task is not None:
            watch.task.cancel()


async def test_a_cluster_whose_look_ends_in_time_again_is_one_of_all_again(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(engine, "_LONGEST_SECONDS", 0.01)
    hangs = True

    async def look(*_: object) -> Found:
        if hangs:
            await asyncio.Event().wait()
        return Found((), ())

    clock = SteppedClock()
    looks, clusters = drift(clock, look)
    uid = clusters["west"].facts.cluster_uid
    looks.tend([WEST])
    await eventually("ended", lambda: _is_idle(looks, clusters["west"]))
    assert looks._watches[uid].is_slow

    hangs = False
    clock.seconds += EVERY_SECONDS
    looks.tend([WEST])
    await eventually("looked", lambda: _is_idle(looks, clusters["west"]))
    assert not looks._watches[uid].is_slow


async def test_what_one_look_could_not_do_is_done_by_the_next_which_is_soon():
    async def look(*_: object) -> Found:
        return Found((), (), has_more=True)

    clock = SteppedClock()
    looks, clusters = drift(clock, look)
    looks.tend([WEST])
    await eventually("looked", lambda: _is_idle(looks, clusters["west"]))
    looks.tend([WEST])

    assert looks.due_ms is not None
    assert looks.due_ms - clock.now_ms() <= engine._APART_SECONDS * 1_000 + 1


async def test_of_thousands_that_are_unwell_a_few_are_begun_at_once():
    claims = [as_claim(uid=uid_of(f"claim {i}")) for i in range(5_000)]
    begun = list[str]()

    async def look(*_: object) -> Found:
        return Found(tuple(claims), ())

    def mend(claim: GpuClaim, _: object) -> bool:
        begun.append(claim.metadata.uid)
        return True

    binder = SimpleNamespace(is_busy=lambda _: False, mend=mend)
    looks, clusters = drift(SteppedClock(), look, binder=binder, claims=claims)
    looks.tend([WEST])
    await eventually("looked", lambda: _is_idle(looks, clusters["west"]))

    assert len(begun) == AT_ONCE


async def test_a_cluster_that_cant_be_reached_now_is_remembered_until_its_lease_is_gone():
    kept: list[set[str]] = []
    looks, clusters = drift(SteppedClock(), nothing, "west")
    looked: Any = looks._lookout
    looked.keep = lambda uids, _: kept.append({*uids})
    status = WEST.status.model_copy(update={"cluster_uid": uid_of("west")})
    west = WEST.model_copy(update={"status": status})
    looks.tend([west])
    clusters["west"].facts.synced = False
    looks.tend([west])
    looks.tend([])

    assert kept == [{uid_of("west")}, {uid_of("west")}, set()]
    await looks.close()


LOST = WEST.model_copy(
    update={
        "spec": WEST.spec.model_copy(update={"release_orphans": (uid_of("gone"),)}),
        "status": WEST.status.model_copy(
            update={
                "cluster_uid": uid_of("west"),
                "lost": LostStatus(by="ann", time=NOW, meter_time=NOW),
            }
        ),
    }
)
"""Lost, and a person says which claims are gone."""


async def never(*_: object) -> Found:
    raise AssertionError("looked at")


def heeding(looks: Drift) -> list[Any]:
    """Return what the sweeper is asked from now on."""
    asked, sweeper = list[Any](), cast("Any", looks._sweeper)

    async def tend(*args: Any) -> None:
        asked.append(args)

    sweeper.tend = tend
    return asked


async def test_a_persons_word_on_a_lost_lease_that_isnt_connected_needs_no_look():
    looks, clusters = drift(SteppedClock(), never)
    asked = heeding(looks)
    clusters["west"].facts.synced = False
    looks.tend([LOST])
    await eventually("looked", lambda: _is_idle(looks, clusters["west"]))

    ((uid, places, orphans, _, leases),) = asked
    assert (uid, places, orphans, leases) == (uid_of("west"), [], (), [LOST])


@pytest.mark.parametrize("gives_up", [True, False])
async def test_a_persons_word_on_a_lost_lease_counts_although_its_cluster_cant_be_looked_at(
    gives_up: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(engine, "_LONGEST_SECONDS", 0.01)

    async def fail(*_: object) -> Found:
        if gives_up:
            await asyncio.Event().wait()
        raise ServerError(500, "InternalError", "etcd is away")

    looks, clusters = drift(SteppedClock(), fail)
    asked = heeding(looks)
    looks.tend([LOST])
    await eventually("looked", lambda: _is_idle(looks, clusters["west"]))

    ((_, places, orphans, _, leases),) = asked
    assert (places, orphans, leases) == ([], (), [LOST])
    assert clusters["west"].said[-1].reason == NOT_LOOKED


@pytest.mark.parametrize("word", [{"lost": None}, {"release_orphans": ()}])
async def test_without_a_persons_word_nothing_is_done_where_no_cluster_is_connected(
    word: dict[str, Any],
):
    looks, clusters = drift(SteppedClock(), never)
    clusters["west"].facts.synced = False
    part = "status" if "lost" in word else "spec"
    changed = getattr(LOST, part).model_copy(update=word)
    looks.tend([LOST.model_copy(update={part: changed})])

    assert looks._watches == {}
