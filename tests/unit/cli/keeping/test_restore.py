"""What a restore writes of an object."""

from typing import Any

import pytest

from sublet.api.times import Millis
from sublet.cli.keeping.archive import Archive
from sublet.cli.keeping.judgement import Step
from sublet.cli.keeping.restore import Order, _newborn, _spec_of, restore
from tests.builders.api import NOW, as_claim
from tests.builders.restored import on_the_wire, restored

WORD = {"forceRelease": {"claimUID": "old", "by": "ann"}}


def saved(**spec: Any) -> dict[str, Any]:
    body = on_the_wire(as_claim())
    return {**body, "spec": {**body["spec"], **spec}}


def test_a_persons_word_for_the_old_object_is_not_said_of_the_new_one():
    made = _newborn(saved(**WORD), marked=True)

    assert "forceRelease" not in made["spec"]
    assert made["spec"]["className"] == saved()["spec"]["className"]


def test_a_word_that_the_hub_has_of_the_very_same_object_stays():
    live = saved(forceRelease={"claimUID": "old", "by": "bob"})

    assert _spec_of(saved(**WORD), live)["forceRelease"]["by"] == "bob"


class Hub:
    """A hub that takes every write."""

    def __init__(self) -> None:
        self.written: list[tuple[str, dict[str, Any]]] = []

    async def replace(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.written.append((path.rsplit("/", 1)[1], body))
        return {**body, "metadata": {**body["metadata"], "resourceVersion": "51"}}


@pytest.mark.parametrize("step", [Step.REFRESH, Step.FINISH])
async def test_a_newer_backup_brings_the_contract_too_and_not_the_status_alone(step: Step):
    hub: Any = Hub()
    newer = saved(tags={"from": "newer"})
    order = Order(newer, restored(saved()), step)
    archive = Archive("hub", Millis(NOW + 1), None, (), (newer,))
    await restore(hub, archive, [order], agreed=False)

    (_, first), (last, status) = hub.written
    assert first["spec"]["tags"] == {"from": "newer"}
    assert (last, status["metadata"]["resourceVersion"]) == ("status", "51")
