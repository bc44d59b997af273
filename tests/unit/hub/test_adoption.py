"""What adoption remembers of nodes that it couldn't tend."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import deepcopy
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from sublet.api.gpulease import GpuLease
from sublet.api.ids import LeaseUID
from sublet.api.kinds import IN_USE_FINALIZER
from sublet.fleet.nodebook import LEASE_LABEL, POOL_TAINT
from sublet.hub.adoption import Adoption
from sublet.kube.errors import Forbidden, Invalid, KubeError, NotFound, Unreachable
from sublet.kube.wire import Node, Taint
from tests.builders.api import as_lease, uid_of
from tests.builders.wire import our_node, page, wire_node
from tests.harness.fake_api import SteppedClock, eventually


def west() -> GpuLease:
    """Return a lease that can't vanish and whose cluster is known: only for such a one nodes are marked."""
    found = as_lease(finalizers=(IN_USE_FINALIZER,))
    status = found.status.model_copy(update={"cluster_uid": uid_of("west")})
    return found.model_copy(update={"status": status})


WEST = west()
WEST_UID = LeaseUID(WEST.metadata.uid)


class Liar:
    """A cluster that shows another node each time, and none when it is asked for it."""

    lease_uid = WEST.metadata.uid
    facts = SimpleNamespace(is_isolated=True)

    def __init__(self) -> None:
        self.api = self
        self.asked: list[str] = []
        self.shown = [0]
        self.answers: asyncio.Event | None = None
        self.refuses: KubeError = Unreachable("no answer")

    def nodes(self) -> list[Any]:
        return [wire_node(f"n{number}") for number in self.shown]

    def node(self, name: str) -> Any:
        return next((n for n in self.nodes() if n.metadata.name == name), None)

    def is_foreign(self, _: str) -> bool:
        return False

    def note_foreign(self, _: str, *, foreign: bool) -> None: ...

    async def get_as(self, path: str, *_: Any) -> Any:
        self.asked.append(path)
        if self.answers is not None:
            await self.answers.wait()
        raise self.refuses


class Marked(Liar):
    """A cluster whose one node has another's pool taint.

    `refuses` answers each write; without one it is taken, and nothing comes of it.
    """

    def __init__(self, refuses: KubeError | None, effect: str = "NoSchedule") -> None:
        super().__init__()
        self.marked = our_node(WEST)
        value = WEST.metadata.uid if refuses is None else uid_of("another lease")
        self.marked.spec.taints = [Taint(key=POOL_TAINT, value=value, effect=effect)]
        self.answer = refuses
        self.written: list[Any] = []
        self.foreign = False

    def nodes(self) -> list[Node]:
        return [self.marked]

    def observe(self, _: Node) -> None: ...

    def is_foreign(self, _: str) -> bool:
        return self.foreign

    def note_foreign(self, _: str, *, foreign: bool) -> None:
        self.foreign = foreign

    async def get_as(self, *_: Any) -> Node:
        return self.marked

    async def list_page(self, *_: Any, **__: Any) -> Any:
        return page()

    async def patch_as(self, _: str, patch: Any, *__: Any) -> Node:
        self.written.append(patch)
        if self.answer is not None:
            raise self.answer
        return self.marked


class Changing(Marked):
    """One whose node is made anew under the first write."""

    async def patch_as(self, _: str, patch: Any, *__: Any) -> Node:
        self.written.append(patch)
        if len(self.written) == 1:
            self.marked = wire_node()
            raise DUPLICATE
        self.marked = our_node(WEST)
        return self.marked


DUPLICATE = Invalid(422, "Invalid", "spec.taints[1]: Duplicate value")
WEBHOOK = Forbidden(403, "Forbidden", "admission webhook denied the request")


@asynccontextmanager
async def adopting(seen: Any = None) -> AsyncIterator[tuple[Adoption, Any, SteppedClock]]:
    """Run adoption for a cluster, one that lies unless another is given."""
    clock, liar = SteppedClock(), seen or Liar()
    cluster: Any = liar
    adoption = Adoption(lambda _: cluster, clock, lambda: None)
    yield adoption, liar, clock
    await adoption.close()


async def tended(adoption: Adoption, liar: Liar) -> None:
    """Let adoption look once, and wait until what it began is over."""
    adoption.tend([WEST])
    await eventually("over", lambda: not adoption.is_adopting(WEST_UID))


async def test_a_node_that_couldnt_be_tended_is_left_for_a_while():
    async with adopting() as (adoption, liar, clock):
        await tended(adoption, liar)
        await tended(adoption, liar)
        assert len(liar.asked) == 1
        clock.seconds += 11
        await tended(adoption, liar)

    assert len(liar.asked) == 2


@pytest.mark.parametrize("refusal", [DUPLICATE, WEBHOOK], ids=["422", "403"])
async def test_marks_that_are_refused_for_good_are_tried_once_in_a_while_and_the_log_says_it(
    refusal: KubeError,
):
    async with adopting(Marked(refusal)) as (adoption, cluster, clock):
        with capture_logs() as logs:
            await tended(adoption, cluster)
            await tended(adoption, cluster)
        assert len(cluster.written) == 1
        assert not cluster.is_foreign("n0"), "no foreign pod was seen"
        clock.seconds += 11
        await tended(adoption, cluster)

    assert len(cluster.written) == 2
    assert [(each["event"], each["error"]) for each in logs] == [("node not tended", str(refusal))]


async def test_a_node_that_isnt_marked_though_its_cluster_took_it_is_left_for_a_while():
    async with adopting(Marked(None, "NoExecute")) as (adoption, cluster, _):
        await tended(adoption, cluster)
        await tended(adoption, cluster)

    (patch,) = cluster.written
    taint = {"key": POOL_TAINT, "value": WEST.metadata.uid, "effect": "NoSchedule"}
    assert {"op": "add", "path": "/spec/taints/-", "value": taint} in patch


async def test_a_node_that_changed_under_the_write_is_tried_again_at_once():
    cluster = Changing(DUPLICATE)
    async with adopting(cluster) as (adoption, _, _):
        await tended(adoption, cluster)

    assert len(cluster.written) == 2
    assert LEASE_LABEL in cluster.marked.metadata.labels


async def test_a_bare_node_that_a_claim_has_by_another_lease_is_left_to_that_one_while_it_has_it():
    async with adopting() as (adoption, cluster, clock):
        adoption.tend([WEST], lambda *_: True)
        assert not adoption.is_adopting(WEST_UID)
        assert adoption.due_ms is not None
        clock.seconds += 11
        await tended(adoption, cluster)

    assert len(cluster.asked) == 1


async def test_a_node_of_ours_is_mended_whoever_has_it_by_another_lease():
    async with adopting(Marked(None)) as (adoption, cluster, _):
        cluster.marked.spec.taints = []
        adoption.tend([WEST], lambda *_: True)
        await eventually("over", lambda: not adoption.is_adopting(WEST_UID))

    assert cluster.written


async def test_names_without_end_are_not_remembered_for_longer_than_they_are_left():
    async with adopting() as (adoption, liar, clock):
        for number in range(5):
            liar.shown = [number]
            await tended(adoption, liar)
            clock.seconds += 11

        assert len(liar.asked) == 5
        assert len(adoption._lines[WEST_UID].again_at) == 1


async def tried_within(seconds: int, adoption: Adoption, liar: Liar, clock: SteppedClock) -> int:
    """Let adoption look each second for so long, and return how often a node was asked for."""
    before = len(liar.asked)
    for _ in range(seconds):
        await tended(adoption, liar)
        clock.seconds += 1
    return len(liar.asked) - before


@pytest.mark.parametrize("refusal", [DUPLICATE, WEBHOOK], ids=["422", "403"])
async def test_a_node_that_is_refused_again_and_again_is_tried_ever_more_seldom(refusal: KubeError):
    async with adopting() as (adoption, liar, clock):
        liar.refuses = refusal
        tries = [await tried_within(320, adoption, liar, clock) for _ in range(4)]

    assert tries == [6, 1, 1, 1]


async def test_a_node_that_was_refused_is_tried_within_ten_seconds_of_a_change_and_no_sooner():
    async with adopting(Marked(WEBHOOK)) as (adoption, cluster, clock):
        for _ in range(1_000):
            await tended(adoption, cluster)
            clock.seconds += 1
        written = len(cluster.written)
        for number in range(20):
            cluster.marked = deepcopy(cluster.marked)
            cluster.marked.metadata.labels["pool"] = str(number)
            await tended(adoption, cluster)
            clock.seconds += 1

    assert len(cluster.written) - written == 2


async def test_a_node_that_is_taken_once_was_never_refused():
    async with adopting() as (adoption, liar, clock):
        liar.refuses = WEBHOOK
        await tried_within(1_000, adoption, liar, clock)
        liar.refuses = NotFound(404, "NotFound", "it went")
        await tried_within(320, adoption, liar, clock)
        liar.refuses = WEBHOOK

        assert await tried_within(30, adoption, liar, clock) == 2


async def test_refused_names_without_end_are_not_remembered_for_longer_than_they_are_shown():
    async with adopting() as (adoption, liar, clock):
        liar.refuses = WEBHOOK
        for number in range(5):
            liar.shown = [number]
            await tended(adoption, liar)
            clock.seconds += 1

        assert [*adoption._lines[WEST_UID].refusals] == ["n4"]


async def test_of_nodes_without_end_a_few_are_begun_and_none_waits_with_a_task():
    async with adopting() as (adoption, liar, _):
        liar.shown, liar.answers = [*range(5_000)], asyncio.Event()
        before = len(asyncio.all_tasks())
        for _ in range(3):
            adoption.tend([WEST])
            await asyncio.sleep(0)

        assert len(liar.asked) == 16
        assert len(asyncio.all_tasks()) - before == 16


async def test_as_one_node_is_done_the_next_is_begun_without_a_pass():
    async with adopting() as (adoption, liar, _):
        liar.shown = [*range(40)]
        liar.refuses = NotFound(404, "NotFound", "it went")  # nothing is wrong with the cluster
        await tended(adoption, liar)

        assert len(liar.asked) == 40


async def test_where_one_request_after_the_other_fails_none_is_made_for_a_while():
    async with adopting() as (adoption, liar, clock):
        liar.shown = [*range(5_000)]
        await tended(adoption, liar)
        asked = len(liar.asked)
        assert asked < 40
        await tended(adoption, liar)
        assert len(liar.asked) == asked
        assert adoption.due_ms is not None
        clock.seconds += 11
        await tended(adoption, liar)

        assert len(liar.asked) > asked


@pytest.mark.parametrize("refusal", [DUPLICATE, WEBHOOK], ids=["422", "403"])
async def test_nodes_that_are_refused_hold_up_none_behind_them(refusal: KubeError):
    async with adopting() as (adoption, liar, _):
        liar.shown, liar.refuses = [*range(200)], refusal
        await tended(adoption, liar)

    assert len(liar.asked) == 200


async def test_thousands_of_nodes_that_cant_be_tended_are_one_line_of_the_log_a_minute():
    async with adopting() as (adoption, liar, clock):
        liar.shown = [*range(500)]
        with capture_logs() as logs:
            for _ in range(12):
                await tended(adoption, liar)
                clock.seconds += 10

    assert [each["event"] for each in logs] == ["node not tended"] * 2


async def test_of_a_lease_that_is_gone_nothing_is_kept():
    async with adopting() as (adoption, liar, _):
        liar.shown, liar.answers = [*range(40)], asyncio.Event()
        adoption.tend([WEST])
        await asyncio.sleep(0)
        adoption.tend([])
        assert adoption.is_adopting(WEST_UID), "what is under way comes to its end"
        liar.answers.set()
        await eventually("over", lambda: not adoption.is_adopting(WEST_UID))
        adoption.tend([])

        assert adoption._lines == {}
        assert len(liar.asked) == 16
