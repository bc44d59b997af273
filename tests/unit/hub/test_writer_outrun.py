"""What outran the write of a status is read: if its watch lost that, no pass would ever see the newer object."""

from typing import Any

from structlog.testing import capture_logs

from sublet.fleet.registry import Fleet
from sublet.hub.state import HubState
from sublet.hub.writer import StatusWriter
from sublet.kube.errors import Conflict, Unreachable
from tests.builders.api import as_tenant, tenant
from tests.builders.restored import on_the_wire
from tests.harness.fake_api import SteppedClock


class OutrunHub:
    """Has another version of each object than we know, or shows none."""

    def __init__(self, *shows: dict[str, Any]) -> None:
        self.shows = shows
        self.is_away = False

    async def patch(self, *_: Any) -> Any:
        raise Conflict(409, "Conflict", "changed meanwhile", {"name": "acme"})

    async def get(self, *_: Any, **__: Any) -> dict[str, Any]:
        if self.is_away:
            raise Unreachable("in trouble")
        return {"items": self.shows}


async def outrun(hub: Any) -> tuple[HubState, StatusWriter]:
    """Write the status of a tenant; return what is known then, and the writer."""
    state, clock = HubState(lambda: None), SteppedClock()
    state.tenants.put(as_tenant())
    fleet = Fleet(clock=clock, on_change=lambda _: None, allow_local=True, hub_servers=[])
    writer = StatusWriter(hub, state, fleet, clock)
    await writer.write_all()
    return state, writer


async def test_what_outran_a_write_is_read_as_no_watch_may_tell_of_it():
    newer = as_tenant(tenant(suspended=True), resourceVersion="99")

    state, _ = await outrun(OutrunHub(on_the_wire(newer, "GpuTenant")))

    assert [each.spec.suspended for each in state.tenants.all()] == [True]
    assert not state.doubted.is_set()


async def test_what_outran_a_write_and_is_gone_is_doubted():
    state, _ = await outrun(OutrunHub())

    assert state.doubted.is_set()


async def test_what_outran_a_write_and_cant_be_read_now_is_due_again():
    hub = OutrunHub()
    hub.is_away = True

    _, writer = await outrun(hub)

    assert writer.due_ms == SteppedClock().now_ms() + 5_000


async def test_a_write_that_is_refused_as_outrun_though_nothing_changed_is_said_and_due_again():
    hub = OutrunHub(on_the_wire(as_tenant(), "GpuTenant"))
    with capture_logs() as logged:
        state, writer = await outrun(hub)

    assert [x["error"] for x in logged] == ["409 Conflict: changed meanwhile"]
    assert writer.due_ms == SteppedClock().now_ms() + 5_000
    assert not state.doubted.is_set()
