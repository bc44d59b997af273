"""An operator of another version beside this one, over the same planes and one ledger: before, at once, and after."""

from collections.abc import Iterator
from typing import Any

import pytest

from sublet.api.times import parse_instant
from tests.builders.api import claim
from tests.harness.newer import WORDS, Newer, write_newer
from tests.harness.shared import borrow_stack
from tests.harness.stack import condition
from tests.harness.verified import is_sound
from tests.harness.versions import ACME, NODES, Versions
from tests.harness.waiting import stays, wait_for

pytestmark = [pytest.mark.planes, pytest.mark.slow, pytest.mark.timeout(400)]

DAY = {"durationSeconds": 86_400}
"""What the newer version writes of the end of such a claim the shipped one can't read."""
MOST_WRITES = 16
"""Of one object by two operators that differ over it, in the seconds of these tests."""
Body = dict[str, Any]


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> Newer:
    return write_newer(tmp_path_factory.mktemp("newer"), WORDS)


@pytest.fixture(scope="module")
def alike(tmp_path_factory: pytest.TempPathFactory) -> Newer:
    """Return a newer version that says what both know in the same words."""
    return write_newer(tmp_path_factory.mktemp("alike"))


@pytest.fixture
def hub() -> Iterator[Versions]:
    stack = borrow_stack("versions")
    versions = Versions(stack)
    versions.prepare()
    yield versions
    stack.stop()


def newer_of(found: Body) -> list[Any]:
    """Return what only the newer version knows of a claim."""
    status = found["status"]
    held = status["allocation"]
    racks = [p.get("rack") for p in held["placements"]]
    return [status.get("attestedTime"), held.get("seal"), racks, condition(found, "Attested")]


def newer_of_lease(hub: Versions) -> list[Any]:
    found = hub.stack.get("hub", "gpulease", "west")
    return [found["status"].get("powerFeed"), condition(found, "Powered")]


def unread(hub: Versions, name: str) -> bool:
    """Say whether a claim says that it can't be read."""
    found = hub.stack.claim(ACME, name) or {}
    return condition(found, "Stalled", "reason") == "SpecUnread"


def entries(hub: Versions, uid: str) -> dict[str, str]:
    """Return the nodes' own books in which a claim has an entry."""
    books = {**hub.stack.books("west"), **hub.stack.books("east")}
    return {node: book for node, book in books.items() if uid in book}


def assert_billed_to_its_end(hub: Versions, bound: Body) -> None:
    """End a claim: its bill is from when it was first bound to when it was deleted, and it holds nothing."""
    uid, begun = bound["metadata"]["uid"], parse_instant(bound["status"]["allocation"]["boundTime"])
    ended = hub.let_go(bound["metadata"]["name"])
    assert hub.billed(uid) == [("open", begun), ("close", max(ended, begun))]
    assert entries(hub, uid) == {}


def test_what_a_newer_version_wrote_outlasts_whatever_this_one_does_beside_it_and_after_a_rollback(
    hub: Versions, alike: Newer
):
    newer = hub.newer(alike)
    bound = hub.order("train", gpus=4)
    wrote, of_lease = newer_of(bound), newer_of_lease(hub)
    assert (wrote[1:], of_lease) == (["s1", ["r1"], "True"], ["A", "True"])
    assert bound["status"]["access"]["portal"] == "p1"

    hub.current()
    hub.rest()
    hub.edit("train", gpus=4, maxPricePerGpuHour="9.99")
    assert newer.terminate() == 0
    hub.edit("train", gpus=4, replacement="OnFailure")
    hub.order("second", gpus=4)
    secret = ("-n", ACME, "secret", "train-kubeconfig")
    hub.stack.kubectl("hub", "delete", *secret)
    wait_for("another way in", lambda: "portal" not in hub.stack.claim(ACME, "train")["status"]["access"])  # fmt: skip
    ending = hub.edit("train", gpus=4, schedule=DAY)
    assert ending["status"]["allocation"]["untilCause"] == "Completed"
    ended = hub.edit("train", gpus=4, schedule=DAY, suspended=True)
    wait_for("given back", lambda: not entries(hub, bound["metadata"]["uid"]))

    assert newer_of(ended) == wrote
    assert newer_of_lease(hub) == of_lease
    hub.rest()
    is_sound(hub.stack, hub.database)


def test_a_claim_that_only_the_newer_version_reads_is_held_billed_and_ended_by_it_alone(
    hub: Versions, alike: Newer
):
    newer = hub.newer(alike)
    timed = hub.order("timed", schedule=DAY)
    uid, held = timed["metadata"]["uid"], timed["status"]["allocation"]
    (place,) = held["placements"]
    elsewhere = "east" if place["lease"] == "west" else "west"
    begun = ("open", parse_instant(held["boundTime"]))
    wait_for("its bill has begun", lambda: hub.billed(uid) == [begun])
    assert newer.terminate() == 0

    current = hub.current()
    wait_for("it says so", lambda: unread(hub, "timed"))
    other = hub.order("other")
    assert {p["lease"] for p in other["status"]["allocation"]["placements"]} == {elsewhere}
    hub.stack.apply("hub", claim("here", ACME, placement={"leases": {"allow": [place["lease"]]}}))
    hub.stack.kubectl("hub", "-n", ACME, "delete", "gpuclaim", "timed", "--wait=false")
    wait_for("told why it waits", lambda: hub.stack.claim(ACME, "here")["status"].get("pending"))
    hub.rest()
    deleted = hub.stack.claim(ACME, "timed") or {}
    assert deleted["status"]["allocation"] == held
    assert entries(hub, uid) == {place["node"]: f"{uid}=8"}
    assert hub.stack.claim_namespaces(place["lease"]) == [f"sublet-{uid}-1"]
    assert hub.billed(uid) == [begun]

    hub.newer(alike)
    wait_for("ended", lambda: hub.stack.claim(ACME, "timed") is None, seconds=120)
    wait_for("sold again", lambda: hub.stack.is_bound(ACME, "here"), seconds=120)
    ended = parse_instant(deleted["metadata"]["deletionTimestamp"])
    assert hub.billed(uid) == [begun, ("close", max(ended, begun[1]))]
    assert current.terminate() == 0
    hub.rest()
    is_sound(hub.stack, hub.database)


def test_an_upgrade_beside_the_running_version_sells_nothing_twice_and_takes_over_what_it_promised(
    hub: Versions, alike: Newer
):
    current = hub.current()
    old = [hub.order("old"), hub.order("timed", schedule=DAY)]
    hub.newer(alike)
    longer = {"durationSeconds": 2 * DAY["durationSeconds"]}
    hub.stack.apply("hub", claim("timed", ACME, schedule=longer))
    names = [f"new-{i}" for i in range(2 * NODES)]
    hub.stack.apply("hub", *(claim(name, ACME, gpus=4) for name in names))
    assert current.terminate() == 0
    new = [wait_for(f"{n} bound", lambda n=n: hub.stack.is_bound(ACME, n), seconds=120) for n in names]  # fmt: skip

    hub.rest()
    held = [x for each in [*old, *new] for x in entries(hub, each["metadata"]["uid"])]
    assert len(held) == len(old) + len(new)
    assert not unread(hub, "timed")
    timed = hub.stack.claim(ACME, "timed")["status"]["allocation"]
    asked = longer["durationSeconds"] * 1_000 + parse_instant(timed["decidedTime"])
    assert parse_instant(timed["untilTime"]) == asked
    for each in old:
        assert_billed_to_its_end(hub, each)
    hub.rest()
    is_sound(hub.stack, hub.database)


def test_a_rollback_with_the_older_crds_ends_nothing_and_the_next_upgrade_goes_on(
    hub: Versions, alike: Newer
):
    newer = hub.newer(alike)
    train, timed = hub.order("train"), hub.order("timed", schedule=DAY)
    assert newer.terminate() == 0
    hub.put_crds_back()

    current = hub.current()
    wait_for("it says so", lambda: unread(hub, "timed"))
    seen = hub.edit("train", replacement="OnFailure")
    assert seen["status"]["allocation"]["boundTime"] == train["status"]["allocation"]["boundTime"]
    hub.rest()
    for each in (train, timed):
        assert len(entries(hub, each["metadata"]["uid"])) == 1
    assert current.terminate() == 0

    hub.newer(alike)
    wait_for("it is read again", lambda: not unread(hub, "timed"))
    for each in (train, timed):
        assert_billed_to_its_end(hub, each)
    hub.rest()
    is_sound(hub.stack, hub.database)


def test_two_versions_that_differ_over_an_object_write_it_a_few_times_and_not_without_end(
    hub: Versions, version: Newer
):
    newer = hub.newer(version)
    hub.order("timed", schedule=DAY)
    hub.order("train", gpus=8 * (2 * NODES - 1))
    hub.stack.apply("hub", claim("waiting", ACME))
    wait_for("told why it waits", lambda: hub.stack.claim(ACME, "waiting")["status"].get("pending"))
    hub.rest()

    hub.current()
    wait_for("they differ", lambda: unread(hub, "timed"))
    begun = hub.writes()[-1].ended
    stays("a few writes", lambda: hub.most_written(begun) <= MOST_WRITES, seconds=12)

    assert newer.terminate() == 0
    hub.rest()


def test_what_an_older_version_drops_costs_no_limit_no_access_and_no_bill(hub: Versions):
    current = hub.current()
    bound = hub.order("part", gpus=2)
    uid, plane = bound["metadata"]["uid"], bound["status"]["allocation"]["placements"][0]["lease"]
    kept = [("-n", f"sublet-{uid}-1", "resourcequota", "sublet"), ("-n", f"sublet-{uid}-1", "limitrange", "sublet")]  # fmt: skip
    limits = [hub.stack.get(plane, *each)["spec"] for each in kept]
    assert "limits.cpu" in str(limits[0])

    hub.older()
    hub.rest()
    assert current.terminate() == 0
    dropped = hub.edit("part", gpus=2, replacement="OnFailure")
    assert not dropped["status"]["allocation"]["hostShareNoted"]
    assert "endpointDigest" not in dropped["status"]["access"]["clusters"][0]
    hub.order("second", gpus=2)
    hub.current()
    hub.rest()

    assert [hub.stack.get(plane, *each)["spec"] for each in kept] == limits
    assert hub.stack.get("hub", "-n", ACME, "secret", "part-kubeconfig")
    is_sound(hub.stack, hub.database)
    assert_billed_to_its_end(hub, bound)
