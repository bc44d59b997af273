"""What the writer says of leases whose clusters haven't answered yet."""

from copy import deepcopy
from typing import Any

import pytest
from structlog.testing import capture_logs

from sublet.api.common import Condition, Status
from sublet.api.gpulease import GpuLease, LeaseStatus
from sublet.api.gputenant import GpuTenant, TenantStatus
from sublet.api.kinds import IN_USE_FINALIZER
from sublet.api.last_word import Leftover
from sublet.fleet.facts import LeaseFacts
from sublet.fleet.registry import FIRST_ANSWER_SECONDS, Fleet
from sublet.hub.lease_lists import HubLeaseLists
from sublet.hub.state import HubState
from sublet.hub.writer import StatusWriter
from sublet.kube.errors import Conflict, Invalid, KubeError, NotFound, ServerError, Unreachable
from tests.builders.api import (
    LONG_AGO,
    NOW,
    as_claim,
    as_class,
    as_lease,
    as_tenant,
    claim,
    tenant,
    uid_of,
)
from tests.builders.fleet import held, nodes
from tests.builders.moves import leased, running
from tests.builders.restored import on_the_wire
from tests.builders.unread import holds_by_newer, unread_tenant
from tests.harness.fake_api import SteppedClock


class Hub:
    """Takes patches and remembers what they were for."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.statuses: list[dict[str, Any]] = []
        self.fault: KubeError | None = None
        self.put: list[tuple[str, dict[str, Any]]] = []

    async def get(self, *_: str, **__: str) -> dict[str, Any]:
        return {"items": [on_the_wire(as_tenant(resourceVersion="1000"))]}

    async def replace(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.put.append((path, body))
        return {**body, "metadata": {**body["metadata"], "resourceVersion": "1001"}}

    async def patch(self, path: str, operations: list[dict[str, Any]]) -> dict[str, Any]:
        if self.fault is not None:
            raise self.fault
        self.written.append(path.rsplit("/", 1)[-1])
        self.statuses += [op["value"] for op in operations if op["path"] == "/status"]
        item = as_tenant() if "/gputenants/" in path else as_lease()
        return {
            **on_the_wire(item),
            "metadata": {
                **item.metadata.model_dump(by_alias=True, mode="json"),
                "resourceVersion": "2",
            },
        }


class Connection:
    """A connection that has shown nothing so far."""

    def __init__(self, clock: SteppedClock, facts: LeaseFacts) -> None:
        self.facts = facts
        self._clock = clock
        self._began = clock.monotonic()

    @property
    def age_seconds(self) -> float:
        return self._clock.monotonic() - self._began

    def inventory(self) -> Any:
        raise AssertionError("nothing of it is to be told")


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


class BareFleet(Fleet):
    """A fleet with connections, and no inventory of any lease."""

    def inventories(self) -> Any:
        return {}


def _fleet(clock: SteppedClock, lease: GpuLease, facts: LeaseFacts) -> Fleet:
    fleet = BareFleet(clock=clock, on_change=lambda _: None, allow_local=True, hub_servers=[])
    fleet._clusters[lease.metadata.uid] = Connection(clock, facts)  # type: ignore[assignment]  # what is asked of one
    return fleet


def _told() -> GpuLease:
    """Return a lease whose status says that all is well."""
    ready = Condition(
        type="Ready", status=Status.TRUE, reason="Selling", message="", last_transition_time=NOW
    )
    return as_lease().model_copy(update={"status": LeaseStatus(conditions=(ready,))})


def _deleted(**status: Any) -> GpuLease:
    """Return a lease that is being deleted and waits for our finalizer."""
    lease = _told()
    update = {"deletion_timestamp": NOW, "finalizers": (IN_USE_FINALIZER,)}
    return lease.model_copy(
        update={
            "metadata": lease.metadata.model_copy(update=update),
            "status": lease.status.model_copy(update=status),
        }
    )


async def test_a_lease_whose_cluster_has_not_answered_yet_keeps_its_status(clock: SteppedClock):
    lease, hub = _told(), Hub()
    fleet = _fleet(clock, lease, LeaseFacts())
    state = HubState(lambda: None)
    state.leases.put(lease)

    await StatusWriter(hub, state, fleet, clock).write_all()

    assert hub.written == []


async def test_an_object_that_a_write_finds_gone_is_doubted(clock: SteppedClock):
    hub, state = Hub(), HubState(lambda: None)
    state.leases.put(_told())
    fleet = _fleet(clock, _told(), LeaseFacts(unreachable_since_ms=NOW))

    await StatusWriter(hub, state, fleet, clock).write_all()
    assert not state.doubted.is_set()
    hub.fault = NotFound(404, "NotFound", "no such lease")
    clock.seconds += 1
    state.leases.put(_told().model_copy(update={"status": LeaseStatus()}))
    await StatusWriter(hub, state, fleet, clock).write_all()

    assert state.doubted.is_set()


async def test_what_a_hub_in_trouble_did_not_take_is_due_again_soon(clock: SteppedClock):
    hub, state = Hub(), HubState(lambda: None)
    state.tenants.put(as_tenant())
    fleet = Fleet(clock=clock, on_change=lambda _: None, allow_local=True, hub_servers=[])
    writer = StatusWriter(hub, state, fleet, clock)

    hub.fault = ServerError(503, "ServiceUnavailable", "in trouble")
    await writer.write_all()
    assert writer.due_ms == clock.now_ms() + 5_000

    hub.fault = None
    await writer.write_all()
    assert len(hub.statuses) == 1
    assert writer.due_ms is None


@pytest.mark.parametrize(
    ("fault", "is_refused"),
    [
        (Conflict(409, "Conflict", "changed meanwhile", {"name": "acme"}), False),
        (Invalid(422, "Invalid", "a test failed"), False),
        (Invalid(422, "Invalid", "a policy says no", {"name": "acme"}), True),
    ],
)
async def test_what_is_outrun_waits_for_the_newer_object_and_what_is_refused_is_logged(
    clock: SteppedClock, fault: KubeError, is_refused: bool
):
    hub, state = Hub(), HubState(lambda: None)
    state.tenants.put(as_tenant())
    fleet = Fleet(clock=clock, on_change=lambda _: None, allow_local=True, hub_servers=[])
    writer = StatusWriter(hub, state, fleet, clock)

    hub.fault = fault
    with capture_logs() as logs:
        await writer.write_all()

    assert (writer.due_ms is not None, len(logs)) == (is_refused, int(is_refused))


@pytest.mark.parametrize(
    "facts",
    [
        LeaseFacts(credentials_error="refused"),
        LeaseFacts(unreachable_since_ms=NOW),
        LeaseFacts(synced=True, isolation_ready=False),
    ],
)
def test_a_fault_is_told_at_once(clock: SteppedClock, facts: LeaseFacts):
    lease = _told()

    assert _fleet(clock, lease, facts).has_answered(lease.metadata.uid)


def test_a_cluster_that_shows_nothing_is_told_of_after_its_time(clock: SteppedClock):
    lease = _told()
    fleet = _fleet(clock, lease, LeaseFacts())
    assert not fleet.has_answered(lease.metadata.uid)

    clock.seconds += FIRST_ANSWER_SECONDS

    assert fleet.has_answered(lease.metadata.uid)


@pytest.mark.parametrize("has_leftovers", [True, False])
async def test_a_deleted_lease_goes_only_when_what_claims_left_was_seen_gone(
    clock: SteppedClock, has_leftovers: bool
):
    left = Leftover(claim_uid=uid_of("gone"), homes=(1,), gpus=8, since_time=NOW)
    hub, lease = Hub(), _deleted(leftovers=(left,) if has_leftovers else ())
    fleet = Fleet(clock=clock, on_change=lambda _: None, allow_local=True, hub_servers=[])
    state = HubState(lambda: None)
    state.leases.put(lease)

    await StatusWriter(hub, state, fleet, clock, marked=lambda _: 0).write_all()

    assert (lease.metadata.name in hub.written) is not has_leftovers


@pytest.mark.parametrize(("reached", "marked", "goes"), [
    (False, None, True), (True, None, False), (True, 1, False), (True, 0, True),
])  # fmt: skip
async def test_a_deleted_lease_goes_only_when_no_node_carries_its_mark_by_a_live_list(
    clock: SteppedClock, *, reached: bool, marked: int | None, goes: bool
):
    hub, state = Hub(), HubState(lambda: None)
    lease = _deleted(cluster_uid=uid_of("cluster west") if reached else None)
    state.leases.put(lease)
    fleet = Fleet(clock=clock, on_change=lambda _: None, allow_local=True, hub_servers=[])

    await StatusWriter(hub, state, fleet, clock, marked=lambda _: marked).write_all()

    assert (lease.metadata.name in hub.written) is goes


class Store:
    """Keeps one lease, and notes which paths of it are written."""

    def __init__(self, lease: GpuLease) -> None:
        self.body = lease.model_dump(mode="json", by_alias=True, exclude_none=True)
        self.written: list[str] = []

    async def patch(self, _: str, operations: list[dict[str, Any]]) -> dict[str, Any]:
        for op in (op for op in operations if op["op"] == "add"):
            *folders, name = op["path"].strip("/").split("/")
            place = self.body
            for folder in folders:
                place = place[folder]
            place[name] = op["value"]
            self.written.append(op["path"])
        meta = self.body["metadata"]
        meta["resourceVersion"] = str(int(meta["resourceVersion"]) + 1)
        return deepcopy(self.body)


async def test_what_this_operator_lists_itself_is_no_other_operators_word(clock: SteppedClock):
    store, state = Store(_told()), HubState(lambda: None)
    state.leases.put(_told())
    fleet = _fleet(clock, _told(), LeaseFacts(unreachable_since_ms=NOW))
    writer = StatusWriter(store, state, fleet, clock)
    await writer.write_all()
    left = Leftover(claim_uid=uid_of("gone"), homes=(1,), gpus=8, since_time=NOW)
    (lease,) = state.leases.all()
    await HubLeaseLists(store, state).leave(lease, left)

    (lease,) = state.leases.all()
    state.claims.put(held(as_claim(claim("a")), lease, nodes(lease, 1)))
    await writer.write_all()

    assert [x for x in store.written if "finalizers" not in x] == [
        "/status", "/status/leftovers", "/status",
    ]  # fmt: skip
    assert writer.due_ms is None


async def test_a_write_without_an_answer_is_no_other_operators_word(clock: SteppedClock):
    hub, state = Hub(), HubState(lambda: None)
    state.tenants.put(_changed(1, ()))
    fleet = Fleet(clock=clock, on_change=lambda _: None, allow_local=True, hub_servers=[])
    writer = StatusWriter(hub, state, fleet, clock)
    await writer.write_all()
    first = TenantStatus.model_validate(hub.statuses[0])
    hub.fault = Unreachable("cut off, but stored")
    state.tenants.put(_changed(2, first.conditions))
    await writer.write_all()
    hub.fault = None

    state.tenants.put(_changed(3, first.conditions, observed=2))
    await writer.write_all()

    assert [status["observedGeneration"] for status in hub.statuses] == [1, 3]


def _changed(generation: int, said: tuple[Condition, ...], observed: int = 1) -> GpuTenant:
    """Return a tenant whose status was written one generation ago."""
    body = as_tenant()
    meta = {"generation": generation, "resource_version": str(generation)}
    return body.model_copy(
        update={
            "metadata": body.metadata.model_copy(update=meta),
            "status": TenantStatus(observed_generation=observed, conditions=said),
        }
    )


@pytest.mark.parametrize(("zone", "known"), [("Europe/Atlantis", False), ("Europe/Madrid", True)])
async def test_a_time_zone_that_doesnt_exist_is_said_on_its_tenant(
    clock: SteppedClock, zone: str, known: bool
):
    hub, state = Hub(), HubState(lambda: None)
    state.tenants.put(as_tenant(tenant(billing={"timeZone": zone})))
    fleet = Fleet(clock=clock, on_change=lambda _: None, allow_local=True, hub_servers=[])

    await StatusWriter(hub, state, fleet, clock).write_all()

    (status,) = hub.statuses
    said = [c["message"] for c in status["conditions"] if c["type"] == "TimeZoneUnknown"]
    assert (said == []) is known
    assert (
        known or "there is no time zone Europe/Atlantis: days and months are cut in UTC" in said[0]
    )


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"quotas": [{"className": "h100", "gpus": 8}], "classes": {"allow": ["h100"]}}, ""),
        ({"quotas": [{"className": "h10", "gpus": 8}]}, "; there is no class h10 (quotas)"),
        ({"protectedGpus": [{"className": "h10", "gpus": 8}], "suspended": True}, "; there is no class h10 (protectedGpus)"),
        ({"discounts": [{"effectiveTime": LONG_AGO, "percent": 5}, {"effectiveTime": LONG_AGO, "className": "h10", "percent": 5}]}, "; there is no class h10 (discounts)"),
        ({"classes": {"deny": ["h100", "h10"]}}, "; there is no class h10 (classes.deny)"),
        ({"classes": {"allow": [f"x{n}" for n in range(7)]}}, "; there is no class x0 (classes.allow), x1 (classes.allow), x2 (classes.allow), x3 (classes.allow), x4 (classes.allow) and 2 more"),
    ],
    ids=["all there", "quotas", "protectedGpus", "discounts", "deny", "many"],
)  # fmt: skip
async def test_a_class_that_a_tenant_names_and_that_isnt_there_is_said(
    clock: SteppedClock, spec: dict[str, Any], said: str
):
    hub, state = Hub(), HubState(lambda: None)
    state.tenants.put(as_tenant(tenant(**spec)))
    state.classes.take(on_the_wire(as_class()))
    fleet = Fleet(clock=clock, on_change=lambda _: None, allow_local=True, hub_servers=[])

    await StatusWriter(hub, state, fleet, clock).write_all()

    (ready,) = [c for s in hub.statuses for c in s["conditions"] if c["type"] == "Ready" and "serve" in c["message"]]  # fmt: skip
    assert ready["status"] == "True"
    assert ready["message"].partition("served")[2] == said


async def test_one_whose_spec_became_unreadable_says_so_and_that_it_goes_on(clock: SteppedClock):
    hub, state = Hub(), HubState(lambda: None)
    state.tenants.put(as_tenant())
    state.tenants.take(unread_tenant(as_tenant()))
    fleet = Fleet(clock=clock, on_change=lambda _: None, allow_local=True, hub_servers=[])

    await StatusWriter(hub, state, fleet, clock).write_all()

    (status,) = hub.statuses
    (ready,) = [c for c in status["conditions"] if c["type"] == "Ready"]
    assert (ready["status"], ready["reason"]) == ("False", "SpecUnread")
    assert "it goes on as it was: spec.suspended" in ready["message"]
    assert status["observedGeneration"] == as_tenant().metadata.generation


async def test_one_that_was_never_read_is_told_too(clock: SteppedClock):
    hub, state = Hub(), HubState(lambda: None)
    state.tenants.take(unread_tenant(as_tenant()))
    fleet = Fleet(clock=clock, on_change=lambda _: None, allow_local=True, hub_servers=[])

    await StatusWriter(hub, state, fleet, clock).write_all()

    (status,) = hub.statuses
    assert "nothing is done by it until it is mended" in status["conditions"][0]["message"]


async def test_a_claim_that_cant_be_read_is_told_and_its_tenant_stays(clock: SteppedClock):
    hub, state = Hub(), HubState(lambda: None)
    going = as_tenant(deletionTimestamp="2026-11-22T10:00:00Z", finalizers=[IN_USE_FINALIZER])
    state.tenants.put(going)
    state.claims.take(holds_by_newer(running(leased("west"))))
    fleet = Fleet(clock=clock, on_change=lambda _: None, allow_local=True, hub_servers=[])

    await StatusWriter(hub, state, fleet, clock).write_all()

    assert hub.written == ["status"]  # no finalizer was taken off
    (in_use,) = [c for c in hub.statuses[0]["conditions"] if c["type"] == "InUse"]
    assert in_use["status"] == "True"
    ((path, body),) = hub.put
    assert path.endswith("/namespaces/acme/gpuclaims/train/status")
    assert body["status"]["allocation"]["untilCause"] == "QuotaExpired"
    assert "Stalled" in {c["type"] for c in body["status"]["conditions"]}
