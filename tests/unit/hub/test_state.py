"""What the hub's state keeps, and what it never takes back."""

from sublet.hub.state import HubState
from tests.builders.api import claim, uid_of


def body(version: int, uid: str = "a", **spec):
    found = claim(**spec)
    found["metadata"] |= {"uid": uid_of(uid), "resourceVersion": str(version)}
    return found


def state() -> HubState:
    return HubState(lambda: None)


def test_a_late_event_never_takes_a_state_back():
    hub = state()
    hub.claims.take(body(10, gpus=16))
    hub.claims.take(body(9, gpus=8))

    assert hub.claims.get(uid_of("a")).spec.gpus == 16


def test_a_namesake_made_anew_replaces_the_old_one():
    hub = state()
    hub.claims.take(body(5, "old"))
    hub.claims.take(body(6, "new"))

    assert [c.metadata.uid for c in hub.claims.all()] == [uid_of("new")]
    hub.claims.drop(uid_of("old"))
    assert hub.claims.named("acme/train") is not None


def test_an_object_that_cant_be_parsed_is_kept_apart_and_mended_later():
    hub = state()
    broken = body(1)
    broken["spec"]["maxPricePerGpuHour"] = "abc"
    hub.claims.take(broken)
    assert "not a price" in hub.claims.broken["acme/train"]

    hub.claims.take(body(2))
    assert hub.claims.broken == {}
