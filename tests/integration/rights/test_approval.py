"""Who may approve a claim, on a real hub: whoever has the verb, for this claim alone, under their own name."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from sublet.api.approval import APPROVED, APPROVED_BY
from tests.builders.api import claim, lease
from tests.harness.shared import borrow_stack
from tests.harness.stack import Stack
from tests.harness.waiting import wait_for
from tests.integration.cli.program import Program

pytestmark = [pytest.mark.planes, pytest.mark.timeout(400)]

ACME = "acme"
TENANT, BOSS = "--as=tess", "--as=ann"
ONLY_APPROVERS = "only who has the right to `approve` this gpuclaim"


@pytest.fixture(scope="module")
def hub() -> Iterator[Stack]:
    """A hub with a tenant who may edit a namespace and a person who may approve claims."""
    running = borrow_stack("approval", leased=())
    try:
        running.kubectl("hub", "create", "namespace", ACME)
        running.kubectl("hub", "-n", ACME, "create", "rolebinding", "t", "--clusterrole=admin", "--user=tess")  # fmt: skip
        running.kubectl("hub", "create", "clusterrolebinding", "a", "--clusterrole=sublet-claims-approve", "--user=ann")  # fmt: skip
        running.apply("hub", claim("probe", ACME), lease("west"))
        wait_for("rights and policies act", lambda: ONLY_APPROVERS in annotate(running, "probe", TENANT, "x=1"))  # fmt: skip
        yield running
    finally:
        running.stop()


def annotate(hub: Stack, name: str, *who_and_what: str) -> str:
    """Return what the hub says when somebody sets an approval in a dry run."""
    *who, text = who_and_what
    return patch(hub, name, {APPROVED: text}, *who, "--dry-run=server")


def patch(hub: Stack, name: str, annotations: dict[str, Any], *arguments: str) -> str:
    body = json.dumps({"metadata": {"annotations": annotations}})
    command = ("patch", "gpuclaim", "-n", ACME, name, "--type=merge", "-p", body)
    return hub.kubectl("hub", *command, *arguments, check=False)


def annotations(hub: Stack, name: str) -> dict[str, str]:
    found: dict[str, str] = hub.get("hub", "gpuclaim", "-n", ACME, name)["metadata"]["annotations"]
    return found


def test_an_approver_approves_and_the_hub_writes_who_it_was(hub: Stack):
    hub.apply("hub", claim("large", ACME))

    assert "patched" in patch(hub, "large", {APPROVED: "x=8", APPROVED_BY: "somebody"}, BOSS)
    assert annotations(hub, "large")[APPROVED_BY] == "ann"


def test_no_tenant_sets_changes_or_removes_an_approval(hub: Stack):
    hub.apply("hub", claim("theirs", ACME))
    patch(hub, "theirs", {APPROVED: "x=8"}, BOSS)

    for text in ("x=16", None):
        assert ONLY_APPROVERS in patch(hub, "theirs", {APPROVED: text}, TENANT)
    assert ONLY_APPROVERS in patch(hub, "theirs", {APPROVED_BY: "tess"}, TENANT)
    assert annotations(hub, "theirs")[APPROVED] == "x=8"


def test_a_tenant_can_give_nobody_the_right(hub: Stack):
    role = ("create", "role", "mine", "--verb=approve", "--resource=gpuclaims.sublet.dev")

    assert "attempting to grant RBAC permissions" in hub.kubectl("hub", "-n", ACME, *role, TENANT, check=False)  # fmt: skip


def test_a_tenant_still_changes_what_is_its_own(hub: Stack):
    hub.apply("hub", claim("own", ACME))
    patch(hub, "own", {APPROVED: "x=8"}, BOSS)

    assert "patched" in patch(hub, "own", {"team": "a"}, TENANT)


def test_an_approver_takes_the_approval_back_and_the_name_goes_with_it(hub: Stack):
    hub.apply("hub", claim("back", ACME))
    patch(hub, "back", {APPROVED: "x=8"}, BOSS)

    assert "patched" in patch(hub, "back", {APPROVED: None}, BOSS)
    assert {APPROVED, APPROVED_BY}.isdisjoint(annotations(hub, "back"))


@pytest.mark.parametrize("other", ["sublet.dev/requested-by", "sublet.dev/approved-by-x", "x.sublet.dev/y"])  # fmt: skip
def test_an_approver_changes_nothing_else_of_ours(hub: Stack, other: str):
    said = patch(hub, "probe", {other: "x"}, BOSS, "--dry-run=server")

    assert "only the sublet operator changes sublet.dev finalizers" in said


def test_nothing_but_claims_is_approved(hub: Stack):
    mark = ("annotate", "gpulease", "west", f"{APPROVED}=x", "--dry-run=server")

    assert ONLY_APPROVERS in hub.kubectl("hub", *mark, check=False)


def test_the_program_approves_shows_and_takes_back(hub: Stack):
    hub.apply("hub", claim("asked", ACME, gpus=64))
    uid = hub.get("hub", "gpuclaim", "-n", ACME, "asked")["metadata"]["uid"]
    sublet = Program(hub)

    assert "approved for 64 GPUs" in sublet.works("approve", f"{ACME}/asked").said
    assert annotations(hub, "asked")[APPROVED] == f"{uid}=64,h100"
    assert "64 GPUs, by admin" in sublet.works("explain", "asked", "-n", ACME).said
    assert "already" in sublet.works("approve", f"{ACME}/asked").said
    assert "isn't approved any more" in sublet.works("approve", f"{ACME}/asked", "--withdraw").said
    assert APPROVED not in annotations(hub, "asked")
