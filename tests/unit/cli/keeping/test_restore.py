"""What a restore writes of an object."""

from typing import Any

from sublet.cli.keeping.restore import _newborn, _spec_of
from tests.builders.api import as_claim
from tests.builders.restored import on_the_wire

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
