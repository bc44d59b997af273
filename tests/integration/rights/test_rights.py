"""The operator's rights, measured: over a whole life nothing is forbidden to it, and nothing granted is never used."""

from collections.abc import Iterator

import pytest

from sublet.manifests.render import HubOptions, LeasedOptions, hub as hub_manifests, leased_cluster
from tests.harness.stack import NAMESPACE as SYSTEM, Stack, start_stack
from tests.integration.rights.audit import granted, refused, used
from tests.integration.rights.life import live_through_everything

pytestmark = [pytest.mark.planes, pytest.mark.slow, pytest.mark.timeout(400)]

OPERATOR = f"system:serviceaccount:{SYSTEM}:sublet"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    running = start_stack("rights", leased=("west",), audited=OPERATOR)
    try:
        live_through_everything(running)
        yield running
    finally:
        running.stop()


@pytest.mark.parametrize("plane", ["hub", "west"])
def test_nothing_that_the_operator_does_is_forbidden_to_it(stack: Stack, plane: str):
    assert refused(stack.folder / plane / "audit.log", OPERATOR) == []


def test_every_right_on_the_hub_is_used(stack: Stack):
    rights = granted(hub_manifests(HubOptions()), "sublet")
    by_fallback = {
        ("sublet.dev", "gpuclaims", "patch")
    }  # the finalizer, where admission doesn't set it

    assert rights - used(stack.folder / "hub" / "audit.log", OPERATOR) - by_fallback == set()


def test_every_right_in_a_leased_cluster_is_used(stack: Stack):
    rights = granted(leased_cluster(LeasedOptions()), "sublet")

    assert rights - used(stack.folder / "west" / "audit.log", OPERATOR) == set()


@pytest.mark.parametrize("plane", ["hub", "west"])
def test_nothing_is_used_that_isnt_granted(stack: Stack, plane: str):
    """What RBAC allowed to everybody, or to a group, would not show as forbidden."""
    manifests = hub_manifests(HubOptions()) if plane == "hub" else leased_cluster(LeasedOptions())
    known = {(group, resource, verb) for group, resource, verb in granted(manifests, "sublet")}
    everybodys = {("sublet.dev", "gpuclasses", "get")}

    found = used(stack.folder / plane / "audit.log", OPERATOR)

    assert found - known - everybodys == set()
