"""What somebody had deleted when the backup was taken is deleted again, once it is as it was."""

from typing import Any

import pytest

from sublet.api.gpuclass import GpuClass
from sublet.api.times import Millis, format_instant
from sublet.cli.keeping.archive import Archive
from sublet.cli.keeping.judgement import Step, judge
from sublet.cli.keeping.restore import Order, look, restore, show
from tests.builders.api import NOW, as_class, uid_of
from tests.builders.moves import leased, running
from tests.builders.restored import adopted, on_the_wire, restored
from tests.unit.cli.keeping.test_restore import Hub

WEST = leased("west")
TAKEN = format_instant(Millis(NOW))


def deleted(body: dict[str, Any]) -> dict[str, Any]:
    """Return an object that somebody deleted and that its finalizer keeps."""
    gone = {"deletionTimestamp": "2026-11-22T09:59:00Z", "finalizers": ["sublet.dev/in-use"]}
    return {**body, "metadata": {**body["metadata"], **gone}}


def undeleted(body: dict[str, Any]) -> dict[str, Any]:
    """Return it as it was before its deletion."""
    meta = {k: v for k, v in body["metadata"].items() if k != "deletionTimestamp"}
    return {**body, "metadata": meta}


CLAIM = deleted(on_the_wire(running(WEST)))
LEASE = deleted(on_the_wire(WEST[0], "GpuLease"))
CLASS = deleted(on_the_wire(as_class(), "GpuClass"))
KINDS = pytest.mark.parametrize("saved", [CLAIM, LEASE, CLASS], ids=["claim", "lease", "class"])


async def carried_out(hub: Any, *orders: Order, agreed: bool = False) -> int:
    archive = Archive("hub", Millis(NOW), None, (), tuple(o.saved for o in orders))
    return await restore(hub, archive, list(orders), agreed=agreed)


@KINDS
async def test_what_was_being_deleted_is_made_again_and_deleted_under_its_new_uid(
    saved: dict[str, Any],
):
    hub: Any = Hub()
    await carried_out(hub, Order(saved, None, Step.CREATE))

    assert [where for where, _ in hub.written][1:] == ["status"]
    assert hub.written[0][1]["metadata"]["finalizers"] == ["sublet.dev/in-use"]
    assert hub.deleted == [uid_of("new")]


async def test_what_nobody_had_deleted_isnt_deleted():
    hub: Any = Hub()
    await carried_out(hub, Order(undeleted(CLAIM), None, Step.CREATE))

    assert hub.deleted == []


@pytest.mark.parametrize("saved", [CLAIM, LEASE], ids=["claim", "lease"])
async def test_a_restore_that_stopped_before_the_deletion_deletes_when_it_is_run_again(
    saved: dict[str, Any],
):
    hub: Any = Hub(undeleted(restored(saved)))
    orders = await look(hub, Archive("hub", Millis(NOW), None, (), (saved,)))
    assert [o.step for o in orders] == [Step.DELETE]
    assert await carried_out(hub, *orders) == 1

    assert (hub.written, hub.deleted) == ([], [uid_of("new")])
    assert judge(saved, restored(saved), TAKEN) is Step.KEEP


async def test_a_class_that_goes_by_its_old_uid_already_is_deleted_when_it_is_run_again():
    hub: Any = Hub()
    await carried_out(hub, Order(CLASS, None, Step.CREATE))
    (_, made), (_, status) = hub.written
    meta = {**made["metadata"], "uid": uid_of("new")}
    live = {**made, "metadata": meta, "status": status["status"]}
    assert GpuClass.model_validate(live).metadata.uid == CLASS["metadata"]["uid"]

    assert judge(CLASS, live, TAKEN) is Step.DELETE
    assert judge(CLASS, deleted(live), TAKEN) is Step.KEEP


def test_what_was_adopted_since_goes_on_and_a_second_restore_doesnt_end_it():
    live = undeleted(adopted(restored(CLAIM)))

    assert judge(CLAIM, live, TAKEN) is Step.KEEP


async def test_a_rewound_hub_that_lacks_the_deletion_alone_is_held_before_it_is_deleted():
    live = undeleted(CLAIM)
    step = judge(CLAIM, live, TAKEN)
    assert step is Step.UPDATE
    hub: Any = Hub(live)
    await carried_out(hub, Order(CLAIM, live, step), agreed=True)

    assert {where for where, _ in hub.written} == {"status"}
    assert "origin" in hub.written[0][1]["status"]
    assert hub.deleted == [live["metadata"]["uid"]]


def test_the_table_says_that_it_is_deleted_again(capsys: pytest.CaptureFixture[str]):
    live = undeleted(restored(LEASE))
    show([Order(CLAIM, None, Step.CREATE), Order(LEASE, live, Step.DELETE)])

    _, claim, lease = capsys.readouterr().out.splitlines()
    assert claim.endswith("create   isn't there: it is made again, and deleted again, as it was")
    assert lease.endswith("delete   was being deleted when the backup was taken: deleted again")
