"""Conditions that others give leases, classes and tenants beside ours."""

from typing import Any

import pytest

from sublet.fleet.registry import Fleet
from sublet.hub.state import HubState
from sublet.hub.writer import StatusWriter
from tests.builders.api import as_class, as_lease, as_tenant
from tests.builders.restored import Body, on_the_wire
from tests.harness.fake_api import SteppedClock


class Hub:
    """Takes patches of the status of one object, and shows it as written."""

    def __init__(self, body: Body) -> None:
        self.body = body
        self.statuses: list[dict[str, Any]] = []

    async def patch(self, _: str, operations: list[dict[str, Any]]) -> Body:
        version = str(int(self.body["metadata"]["resourceVersion"]) + 1)
        meta = {**self.body["metadata"], "resourceVersion": version}
        self.body = {**self.body, "metadata": meta}
        for each in operations:
            if each["path"] == "/status":
                self.statuses.append(each["value"])
                self.body["status"] = each["value"]
        return self.body


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.mark.parametrize("kind", ["GpuLease", "GpuClass", "GpuTenant"])
async def test_conditions_of_others_stay_and_ours_that_are_over_go(clock: SteppedClock, kind: str):
    state = HubState(lambda: None)
    item = {"GpuLease": as_lease, "GpuClass": as_class, "GpuTenant": as_tenant}[kind]()
    body = on_the_wire(item, kind)
    body["status"] = {"conditions": [condition("CreditChecked"), condition("TimeZoneUnknown")]}
    hub = Hub(body)
    shelves: dict[str, Any] = {"GpuLease": state.leases, "GpuClass": state.classes}
    shelves.get(kind, state.tenants).take(body)
    fleet = Fleet(clock=clock, on_change=lambda _: None, allow_local=True, hub_servers=[])
    fleet.has_answered = lambda uid: True  # type: ignore[method-assign]  # noqa: ARG005  as if it had

    await StatusWriter(hub, state, fleet, clock).write_all()

    types = [c["type"] for c in hub.statuses[0]["conditions"]]
    assert types.count("CreditChecked") == 1
    assert {"Ready", "InUse"} <= set(types)
    assert "TimeZoneUnknown" not in types


async def test_another_who_changes_a_condition_of_theirs_holds_up_no_word_of_ours(
    clock: SteppedClock,
):
    body = on_the_wire(as_tenant(), "GpuTenant")
    hub, state = Hub(body), HubState(lambda: None)
    fleet = Fleet(clock=clock, on_change=lambda _: None, allow_local=True, hub_servers=[])
    writer = StatusWriter(hub, state, fleet, clock)
    state.tenants.take(body)
    await writer.write_all()

    said = hub.body["status"]
    status = {**said, "conditions": [*said["conditions"], condition("CreditChecked")]}
    meta = {**hub.body["metadata"], "resourceVersion": "70"}
    spec = {**hub.body["spec"], "suspended": True}
    hub.body = {**hub.body, "metadata": meta, "spec": spec, "status": status}
    state.tenants.take(hub.body)
    await writer.write_all()

    reasons = {c["type"]: c["reason"] for c in hub.statuses[-1]["conditions"]}
    assert (reasons["Ready"], reasons["CreditChecked"]) == ("Suspended", "Passed")


async def test_for_more_conditions_of_others_than_there_is_room_for_ours_arent_left_out(
    clock: SteppedClock,
):
    state = HubState(lambda: None)
    body = on_the_wire(as_tenant(), "GpuTenant")
    body["status"] = {"conditions": [condition(f"Other{c}") for c in "ABCDEFGHIJKLMNOP"]}
    hub = Hub(body)
    state.tenants.take(body)
    fleet = Fleet(clock=clock, on_change=lambda _: None, allow_local=True, hub_servers=[])

    await StatusWriter(hub, state, fleet, clock).write_all()

    types = [c["type"] for c in hub.statuses[0]["conditions"]]
    assert (len(types), {"Ready", "InUse"} <= set(types)) == (16, True)


def condition(type_: str) -> dict[str, Any]:
    return {
        "type": type_,
        "status": "True",
        "reason": "Passed",
        "message": "by finance",
        "lastTransitionTime": "2026-11-22T10:00:00Z",
    }
