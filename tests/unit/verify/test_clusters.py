"""What is said of a leased cluster besides what is read there."""

import pytest

from tests.unit.verify.test_reader import LEASES, hub, locked, raw_lease, read, west


async def test_policies_that_the_operator_found_older_than_its_own_are_unchecked():
    older = {"type": "IsolationReady", "status": "True", "reason": "OlderOnboarding"}
    told = older | {"message": "", "lastTransitionTime": "2026-11-22T10:00:00Z"}
    lease = raw_lease() | {"status": {"conditions": [told]}}
    world = await read(hub(**{LEASES: [lease]}))

    assert world.unknown == ()
    assert list(world.unchecked) == ["policies of west"]
    assert "run `sublet onboard` for it again" in world.unchecked["policies of west"]


@pytest.mark.parametrize("mark", [None, "Anybody", "SameTenant"])
async def test_what_a_node_says_of_sharing_is_read_as_it_is(mark: str | None):
    node = locked(0)
    notes = node["metadata"]["annotations"]
    del notes["sublet.dev/sharing"]
    notes |= {"sublet.dev/sharing": mark} if mark is not None else {}

    world = await read(hub(), west(**{"/api/v1/nodes": [node]}))

    assert [n.sharing for n in world.clusters[0].nodes] == [mark]
