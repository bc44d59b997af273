"""The operator's rights, measured: over a whole life each is used as widely as it is granted, and nothing besides."""

from collections.abc import Iterator

import pytest

from tests.harness.stack import NAMESPACE as SYSTEM, Stack, start_stack
from tests.integration.rights.audit import Account, Object, Right, events_in, granted, refused, used
from tests.integration.rights.exempt import EXEMPT
from tests.integration.rights.fences import Fences
from tests.integration.rights.judge import Finding, judge, unexcused
from tests.integration.rights.life import TENANTS, live_through_everything

pytestmark = [pytest.mark.planes, pytest.mark.slow, pytest.mark.timeout(400)]

OPERATOR = Account(SYSTEM, "sublet")
RBAC = "clusterroles,clusterrolebindings,roles,rolebindings"
POLICIES = "validatingadmissionpolicies,validatingadmissionpolicybindings"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    running = start_stack("rights", leased=("west",), audited=OPERATOR.user)
    try:
        live_through_everything(running)
        yield running
    finally:
        running.stop()


def events(stack: Stack, plane: str) -> list[Object]:
    return events_in(stack.folder / plane / "audit.log", OPERATOR)


def judged(stack: Stack, plane: str) -> list[Finding]:
    """Return what is wrong with the rights that are installed on a plane."""
    installed = stack.get(plane, RBAC, "-A")["items"]
    fences = Fences(stack.get(plane, POLICIES)["items"], OPERATOR)
    uses: set[Right] = used(events(stack, plane), tenants=TENANTS)
    return judge(granted(installed, OPERATOR), uses, fences.hold)


@pytest.mark.parametrize("plane", ["hub", "west"])
def test_nothing_that_the_operator_does_is_forbidden_to_it(stack: Stack, plane: str):
    assert refused(events(stack, plane)) == []


@pytest.mark.parametrize("plane", ["hub", "west"])
def test_its_rights_are_exactly_what_it_used_and_no_exemption_has_outlived_its_reason(
    stack: Stack, plane: str
):
    assert unexcused(judged(stack, plane), EXEMPT[plane]) == ([], [])
