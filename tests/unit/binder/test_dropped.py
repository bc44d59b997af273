"""A hub whose CRDs are older than the operator: what it drops is said, and nothing goes on that rests on it."""

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from sublet.api import claim_status, move_status
from sublet.api.claim_status import allocation_of
from sublet.api.common import find_condition
from sublet.api.gpuclaim import ClaimStatus, GpuClaim
from sublet.api.gpuclass import HostShare
from sublet.binder import bind as binding, relocate
from sublet.binder.binder import Binder
from sublet.binder.dropped import DroppedFields, FieldDropped
from sublet.binder.sites import Site
from sublet.binder.work import allocation_for
from sublet.book.plan import plan
from tests.builders.api import NOW, as_claim, as_class, claim, gpu_class
from tests.builders.clusters import NotedApi, tools_of, writer_of
from tests.builders.fleet import reserve_of, view
from tests.builders.moves import leased
from tests.builders.moving import moving
from tests.builders.restored import Body, on_the_wire
from tests.builders.wire import wire_node
from tests.harness.fake_api import SteppedClock

WEST = leased("west")
UID = WEST[0].metadata.uid
SHARE = {"cpuPerGpu": 8, "memoryMiBPerGpu": 1024}
OFFER = as_class(gpu_class(hostShare=SHARE))
WAITING = as_claim(claim(gpus=2))


class OldHub:
    """The hub, with one claim as it is on the wire; these fields of its status it doesn't know."""

    def __init__(self, live: GpuClaim, *unknown: str) -> None:
        self.live, self.unknown = on_the_wire(live), set(unknown)

    async def get(self, _: str) -> Body:
        return self.live

    async def replace(self, _: str, body: Body) -> Body:
        version = str(int(self.live["metadata"]["resourceVersion"] or 0) + 1)
        status = {
            k: {n: x for n, x in v.items() if f"{k}.{n}" not in self.unknown}
            if isinstance(v, dict)
            else v
            for k, v in body["status"].items()
            if k not in self.unknown
        }
        meta = {**self.live["metadata"], "resourceVersion": version}
        self.live = {**self.live, "metadata": meta, "status": status}
        return self.live


def reserved() -> ClaimStatus:
    """Return the status of a claim that was given a part of a node."""
    decision = reserve_of(plan(view([WAITING], [WEST], classes=(OFFER,))), WAITING)
    return claim_status.reserved(WAITING, allocation_for(WAITING, decision), NOW)


def operator_of(hub: OldHub) -> Any:
    """Return the tools of an operator that sees the node, and for which the class says what comes with a GPU."""
    tools = tools_of(writer_of(hub), {UID: WEST[0]}, {UID: NotedApi(WAITING.metadata.uid)})
    tools.class_ = lambda _: OFFER
    tools.cluster(UID).node = wire_node
    return tools


@pytest.fixture
def furnished(monkeypatch: pytest.MonkeyPatch) -> list[Site]:
    """Return what a bind furnishes; it ends there."""
    found: list[Site] = []

    async def lock_all(*_: object) -> None: ...

    async def settle_in(sites: list[Site], _: object) -> None:
        found.extend(sites)
        raise LookupError

    monkeypatch.setattr(binding, "lock_all", lock_all)
    monkeypatch.setattr(binding, "settle_in", settle_in)
    return found


async def test_a_field_that_the_hub_drops_is_said_once_and_counted_until_it_keeps_it():
    counts = list[int]()
    hub = OldHub(WAITING, "allocation.hostShare", "observedGeneration")
    writer = writer_of(hub, counts.append)

    with capture_logs() as logs:
        first = await writer.write_status(WAITING, reserved())
        # as another claim's, or another operator's
        again = await writer.write_status(first, reserved())
    hub.unknown.clear()
    await writer.write_status(again, reserved())

    said = [each["error"] for each in logs]
    assert said == ["status.observedGeneration isn't kept", "status.allocation.hostShare isn't kept"]  # fmt: skip
    assert counts == [2, 0]


def test_a_field_that_is_written_seldom_counts_for_an_hour_after_it_was_dropped_last():
    counts, clock = list[int](), SteppedClock()
    fields = DroppedFields(counts.append, clock)
    without: Body = {"conditions": []}
    with_it = {**without, "usedMilliseconds": 5}

    for seconds, sent in [(0, with_it), (3_000, with_it), (3_599, without)]:
        clock.seconds += seconds
        fields.compare(WAITING, sent, without)
    assert counts == [1]
    clock.seconds += 1
    fields.compare(WAITING, without, without)
    assert counts == [1, 0]


async def test_nothing_is_said_where_the_hub_keeps_all():
    counts = list[int]()
    with capture_logs() as logs:
        await writer_of(OldHub(WAITING), counts.append).write_status(WAITING, reserved())

    assert (logs, counts) == ([], [])


async def test_no_part_of_a_node_is_furnished_while_the_hub_doesnt_keep_what_comes_with_it(
    furnished: list[Site],
):
    tools = operator_of(OldHub(WAITING, "allocation.hostShare", "allocation.hostShareNoted"))
    written = await tools.claims.write_status(WAITING, reserved())

    with pytest.raises(FieldDropped, match=r"drop status\.allocation\.hostShare: .* apply"):
        await binding.bind(written, tools, lambda: None)
    assert furnished == []


async def test_a_reservation_that_doesnt_note_what_comes_with_a_gpu_does_before_it_is_bound(
    furnished: list[Site],
):
    hub = OldHub(WAITING, "allocation.hostShare", "allocation.hostShareNoted")
    tools = operator_of(hub)
    written = await tools.claims.write_status(WAITING, reserved())
    hub.unknown.clear()  # by now the CRDs are applied

    with pytest.raises(LookupError):
        await binding.bind(written, tools, lambda: None)
    noted = allocation_of(await tools.claims.get(written))
    assert (noted.host_share, noted.host_share_noted) == (HostShare.model_validate(SHARE), True)
    assert [site.home.host_share for site in furnished] == [noted.host_share]


async def test_what_only_a_newer_version_says_of_a_class_isnt_noted(furnished: list[Site]):
    hub = OldHub(WAITING, "allocation.hostShare", "allocation.hostShareNoted")
    tools = operator_of(hub)
    tools.class_ = lambda _: as_class(gpu_class(hostShare={**SHARE, "gpuDirect": "all"}))
    written = await tools.claims.write_status(WAITING, reserved())
    hub.unknown.clear()

    with pytest.raises(LookupError):
        await binding.bind(written, tools, lambda: None)
    assert hub.live["status"]["allocation"]["hostShare"] == SHARE


async def test_a_whole_node_needs_no_such_field(furnished: list[Site]):
    hub = OldHub(as_claim(claim(gpus=8)), "allocation.hostShare", "allocation.hostShareNoted")
    tools, asked = operator_of(hub), as_claim(claim(gpus=8))
    decision = reserve_of(plan(view([asked], [WEST], classes=(OFFER,))), asked)
    status = claim_status.reserved(asked, allocation_for(asked, decision), NOW)
    written = await tools.claims.write_status(asked, status)

    with pytest.raises(LookupError):
        await binding.bind(written, tools, lambda: None)
    assert len(furnished) == 1


async def test_a_claim_says_that_it_waits_for_newer_crds(furnished: list[Site]):
    tools = operator_of(OldHub(WAITING, "allocation.hostShare", "allocation.hostShareNoted"))
    written = await tools.claims.write_status(WAITING, reserved())
    told = list[GpuClaim]()
    binder = Binder(tools, on_claim=told.append, on_gone=lambda _: None, on_idle=lambda _: None)
    assert binder.tend(written)
    await asyncio.sleep(0.1)
    await binder.close(1.0)

    ready = find_condition(told[-1].status.conditions, "Ready")
    assert ready is not None
    assert "the hub's CRDs are older than the operator" in ready.message


async def test_no_move_is_opened_while_the_hub_doesnt_keep_that_it_was(
    monkeypatch: pytest.MonkeyPatch,
):
    async def lock_all(*_: object) -> None: ...

    async def never(*_: object) -> None:
        pytest.fail("a namespace was furnished")

    monkeypatch.setattr(relocate, "lock_all", lock_all)
    monkeypatch.setattr(relocate, "settle_in", never)
    each = moving()
    tools = operator_of(OldHub(each, "move.openedTime"))

    with pytest.raises(FieldDropped, match=r"status\.move\.openedTime"):
        await relocate.grow(each, tools, lambda: None)
    assert not move_status.move_of(await tools.claims.get(each)).is_open
