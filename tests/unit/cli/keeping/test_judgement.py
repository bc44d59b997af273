"""What a restore does about an object, by what the hub has of its name."""

from typing import Any

import pytest

from sublet.api.times import format_instant
from sublet.book.plan import plan
from sublet.cli.keeping.judgement import Step, identity, judge
from sublet.cli.keeping.restore import restored_status
from tests.builders.api import NOW, as_claim, as_class, as_lease, gpu_class, uid_of
from tests.builders.fleet import bound, carried_out, inventory, nodes, reserve_of, view
from tests.builders.restored import adopted, newborn, on_the_wire, restored

TAKEN, LATER = format_instant(NOW), "2026-11-23T10:00:00Z"


def _bound() -> dict[str, Any]:
    west, train = as_lease(), as_claim()
    made = plan(view([train], [(west, inventory(west, nodes(west, 1)))]))
    return on_the_wire(bound(carried_out(train, reserve_of(made, train))))


PENDING, BOUND = on_the_wire(as_claim()), _bound()


def spec(body: dict[str, Any], generation: int, **fields: Any) -> dict[str, Any]:
    meta = {**body["metadata"], "generation": generation}
    return {**body, "metadata": meta, "spec": {**body["spec"], **fields}}


def at_heart(body: dict[str, Any], **status: Any) -> dict[str, Any]:
    """The object with another status in which nothing has an age."""
    return {**body, "status": {**body["status"], **status}}


def taken_back(saved: dict[str, Any]) -> dict[str, Any]:
    """The very object, as a restore of an older hub leaves it."""
    return {**saved, "status": restored_status(saved, NOW)}


@pytest.mark.parametrize(
    ("saved", "live", "step"),
    [
        (BOUND, None, Step.CREATE),
        (BOUND, BOUND, Step.KEEP),
        (BOUND, PENDING, Step.UPDATE),
        (PENDING, BOUND, Step.NEWER),
        (spec(PENDING, 2, tags={"a": "b"}), PENDING, Step.UPDATE),
        (PENDING, spec(PENDING, 2, tags={"a": "b"}), Step.NEWER),
        (spec(PENDING, 2, tags={"a": "b"}), BOUND, Step.NEWER),  # newer in one thing is newer
        (BOUND, at_heart(BOUND, usedMilliseconds=5), Step.NEWER),  # nothing shows which is older
        (BOUND, taken_back(BOUND), Step.KEEP),
        (BOUND, taken_back(PENDING), Step.REFRESH),  # it broke off before the status
        (BOUND, newborn(restored(BOUND)), Step.FINISH),
        (BOUND, {**restored(BOUND), "status": {"observedGeneration": 1}}, Step.OTHER),
        (BOUND, restored(BOUND), Step.KEEP),
        (BOUND, adopted(restored(BOUND)), Step.KEEP),
        (BOUND, restored({**BOUND, "metadata": {**BOUND["metadata"], "uid": uid_of("x")}}), Step.OTHER),
        (BOUND, on_the_wire(as_claim(uid=uid_of("namesake"))), Step.OTHER),
    ],
)  # fmt: skip
def test_an_object_is_judged_by_what_is_there(saved, live, step: Step):
    assert judge(saved, live, TAKEN) is step


@pytest.mark.parametrize("live", [None, on_the_wire(as_claim(uid=uid_of("namesake")))])
def test_what_was_being_restored_itself_is_not_restored_as_somebody_new(live):
    bare = newborn(restored(BOUND))

    assert judge(bare, live, LATER) is Step.BARE
    assert judge(bare, bare, LATER) is Step.KEEP
    assert judge(bare, restored(BOUND), LATER) is Step.NEWER


def test_what_is_held_from_an_older_backup_is_brought_to_a_newer_one_and_never_back():
    held = restored(PENDING)

    assert judge(BOUND, held, LATER) is Step.REFRESH
    assert judge(BOUND, held, "2026-11-21T10:00:00Z") is Step.KEEP
    assert judge(BOUND, adopted(held), LATER) is Step.KEEP


def test_what_was_taken_back_to_a_newer_backup_is_never_brought_to_an_older_one():
    assert judge(PENDING, taken_back(BOUND), "2026-11-21T10:00:00Z") is Step.NEWER


def test_a_class_is_known_by_its_name():
    mine = on_the_wire(as_class(), "GpuClass")

    assert judge(mine, on_the_wire(as_class(uid=uid_of("x")), "GpuClass"), TAKEN) is Step.KEEP
    dearer = on_the_wire(as_class(gpu_class(price="9.99"), uid=uid_of("x")), "GpuClass")
    assert judge(mine, dearer, TAKEN) is Step.OTHER


FLOATS = on_the_wire(as_class(gpu_class(pricing="Floating")), "GpuClass")
NEWBORN = {k: v for k, v in restored(FLOATS).items() if k != "status"}


@pytest.mark.parametrize(
    ("live", "step"),
    [
        (adopted(restored(FLOATS)), Step.KEEP),
        (NEWBORN, Step.FINISH),
        (on_the_wire(as_class(gpu_class(pricing="Floating"), uid=uid_of("x")), "GpuClass"), Step.OTHER),
    ],
    ids=["it goes by the old uid", "a restore broke off", "another one"],
)  # fmt: skip
def test_a_class_whose_prices_are_followed_is_known_by_its_uid_as_well(live, step: Step):
    assert judge(FLOATS, live, TAKEN) is step


def test_whoever_was_restored_before_stays_who_it_was_first():
    again = adopted(restored(BOUND))

    assert identity(again) == BOUND["metadata"]["uid"]
    assert judge(again, restored(again, "third"), TAKEN) is Step.KEEP
