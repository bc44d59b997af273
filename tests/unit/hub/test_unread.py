"""What is said to an object that can't be read, and whose namespaces it keeps."""

from sublet.hub.state import Unread
from sublet.hub.unread import namespaces_of_unread, told_patch
from tests.builders.api import NOW, as_tenant, tenant
from tests.builders.unread import unread_tenant

BODY = unread_tenant(as_tenant(tenant(namespaces=("acme", "acme-lab"))))
ACME = Unread("acme", "spec.suspended: should be a boolean", BODY)


def told(each: Unread) -> Unread:
    """Return the object after it was told."""
    patch = told_patch(each, NOW)
    assert patch is not None
    return Unread(each.key, each.fault, {**each.body, "status": patch[-1]["value"]})


def conditions(each: Unread) -> dict[str, str]:
    return {c["type"]: c["status"] for c in each.body["status"]["conditions"]}


def test_it_is_told_once_and_again_if_something_else_is_wrong():
    once = told(ACME)

    (ready,) = once.body["status"]["conditions"]
    assert (ready["status"], ready["reason"]) == ("False", "SpecUnread")
    assert "spec.suspended" in ready["message"]
    assert told_patch(once, NOW) is None
    other = told_patch(Unread(once.key, "spec.term: nonsense", once.body), NOW)
    assert other is not None


def test_what_else_its_status_says_stays():
    served = {"type": "InUse", "status": "True", "reason": "x", "message": ""}
    body = {**BODY, "status": {"observedGeneration": 3, "conditions": [served]}}

    found = told(Unread("acme", "fault", body))

    assert conditions(found) == {"InUse": "True", "Ready": "False"}
    assert found.body["status"]["observedGeneration"] == 3


def test_the_word_is_for_the_object_as_it_was_read():
    patch = told_patch(ACME, NOW)

    assert patch is not None
    meta = BODY["metadata"]
    assert [(op["path"], op["value"]) for op in patch if op["op"] == "test"] == [
        ("/metadata/uid", meta["uid"]),
        ("/metadata/resourceVersion", meta["resourceVersion"]),
    ]


def test_the_namespaces_that_a_tenant_names_are_read_as_they_stand():
    assert namespaces_of_unread([ACME]) == {"acme": "acme", "acme-lab": "acme"}
    assert namespaces_of_unread([Unread("x", "", {"spec": {"namespaces": "all"}})]) == {}
