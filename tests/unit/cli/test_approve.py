"""`sublet approve` on a claim that others write to: what is approved is what was seen, whatever was written beside it."""

import pytest

from sublet.api import approval
from sublet.cli import approve
from tests.builders.stored import bound_claim


@pytest.fixture
def meanwhile(hub, monkeypatch):
    """Return what lets somebody write to the claim between the moment it is read and the write."""
    text = approval.approval_text

    def happens(change):
        made = hub.put(bound_claim())

        def approves(claim):
            change(made)
            made["metadata"]["resourceVersion"] = "999"
            return text(claim)

        monkeypatch.setattr(approve, "approval_text", approves)
        return made

    return happens


def test_a_status_that_was_written_meanwhile_stops_no_approval(person, meanwhile):
    made = meanwhile(lambda claim: claim["status"].update(observedGeneration=1))
    status, out, _ = person.run("approve", "acme/train")

    assert (status, out) == (0, "acme/train is approved for 8 GPUs\n")
    assert approval.APPROVED in made["metadata"]["annotations"]


@pytest.mark.parametrize(
    "change",
    [
        lambda claim: claim["metadata"].update(generation=2),
        lambda claim: claim["metadata"].update(annotations={"team": "blue"}),
    ],
    ids=["its spec", "its annotations"],
)
def test_a_claim_that_was_changed_meanwhile_is_looked_at_first(person, meanwhile, change):
    made = meanwhile(change)
    status, _, err = person.run("approve", "acme/train")

    assert status == 1
    assert "claim acme/train changed meanwhile; look at it and approve again" in err
    assert approval.APPROVED not in made["metadata"].get("annotations", {})


def test_others_annotations_stay_as_they_are(person, hub):
    made = hub.put(bound_claim())
    made["metadata"]["annotations"] = {"team": "blue"}

    assert person.run("approve", "acme/train")[0] == 0
    assert set(made["metadata"]["annotations"]) > {"team", approval.APPROVED}

    assert person.run("approve", "--withdraw", "acme/train")[0] == 0
    assert made["metadata"]["annotations"] == {"team": "blue"}
