"""What is said of a leased cluster besides what is read there."""

from tests.unit.verify.test_reader import LEASES, hub, raw_lease, read


async def test_policies_that_the_operator_found_older_than_its_own_are_unchecked():
    older = {"type": "IsolationReady", "status": "True", "reason": "OlderOnboarding"}
    told = older | {"message": "", "lastTransitionTime": "2026-11-22T10:00:00Z"}
    lease = raw_lease() | {"status": {"conditions": [told]}}
    world = await read(hub(**{LEASES: [lease]}))

    assert world.unknown == ()
    assert list(world.unchecked) == ["policies of west"]
    assert "run `sublet onboard` for it again" in world.unchecked["policies of west"]
