"""Who may give their word that a cluster is lost or a release is done: whoever has the verb, for this very object alone."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.builders.api import LONG_AGO, claim, lease
from tests.harness.shared import borrow_stack
from tests.harness.stack import NAMESPACE as SYSTEM, Stack
from tests.harness.waiting import wait_for

pytestmark = [pytest.mark.planes, pytest.mark.timeout(400)]

ACME = "acme"
TENANT, BOSS, OPERATOR = "--as=tess", "--as=ann", f"--as=system:serviceaccount:{SYSTEM}:sublet"
ONLY_RELEASE = "only who has the right to `force-release` this gpuclaim"
ONLY_LOST = "only who has the right to `declare-lost` this gpulease"


@pytest.fixture(scope="module")
def hub() -> Iterator[Stack]:
    """A hub with a tenant who may edit a namespace and a person whose word counts."""
    running = borrow_stack("words", leased=())
    try:
        running.kubectl("hub", "create", "namespace", ACME)
        running.kubectl("hub", "-n", ACME, "create", "rolebinding", "t", "--clusterrole=admin", "--user=tess")  # fmt: skip
        running.kubectl("hub", "create", "clusterrole", "leases", "--verb=get,patch", "--resource=gpuleases.sublet.dev")  # fmt: skip
        running.kubectl("hub", "create", "clusterrolebinding", "l", "--clusterrole=leases", "--user=tess")  # fmt: skip
        running.kubectl("hub", "create", "clusterrolebinding", "a", "--clusterrole=sublet-last-word", "--user=ann")  # fmt: skip
        running.apply("hub", claim("train", ACME), lease("west"))
        wait_for("the policies act", lambda: ONLY_RELEASE in force(running, TENANT) and ONLY_LOST in lose(running, TENANT))  # fmt: skip
        yield running
    finally:
        running.stop()


def uid_of(hub: Stack, *what: str) -> str:
    return str(hub.get("hub", *what)["metadata"]["uid"])


def force(hub: Stack, *who: str, **word: Any) -> str:
    """Return what the hub says to somebody's word about the claim; nothing is stored."""
    where = ("gpuclaim", "train", "-n", ACME)
    full = {"claimUID": uid_of(hub, "gpuclaim", "-n", ACME, "train"), **word}
    return patch(hub, {"forceRelease": full}, *where, *who, "--dry-run=server")


def lose(hub: Stack, *who: str, **word: Any) -> str:
    """Return what the hub says to somebody's word about the lease; nothing is stored."""
    full = {"leaseUID": uid_of(hub, "gpulease", "west"), "time": LONG_AGO, **word}
    return patch(hub, {"lost": full}, "gpulease", "west", *who, "--dry-run=server")


def patch(hub: Stack, spec: dict[str, Any], *arguments: str) -> str:
    body = json.dumps({"spec": spec})
    return hub.kubectl("hub", "patch", "--type=merge", "-p", body, *arguments, check=False)


def test_whoever_has_the_verb_gives_their_word_and_the_hub_writes_who_it_was(hub: Stack):
    assert force(hub, BOSS, "-o", "jsonpath={.spec.forceRelease.by}") == "ann"
    assert lose(hub, BOSS, "-o", "jsonpath={.spec.lost.by}") == "ann"


def test_nobody_gives_a_word_under_another_name(hub: Stack):
    assert "must be your user name: ann" in force(hub, BOSS, by="tess")
    assert "must be your user name: ann" in lose(hub, BOSS, by="tess")


def test_no_tenant_gives_it_though_it_may_write_the_object(hub: Stack):
    assert ONLY_RELEASE in force(hub, TENANT, by="tess")
    assert ONLY_LOST in lose(hub, TENANT, by="tess")


def test_the_operator_itself_has_no_word(hub: Stack):
    assert "denied request" in force(hub, OPERATOR)
    may = ("auth", "can-i", "declare-lost", "gpuleases.sublet.dev/west", OPERATOR)
    assert hub.kubectl("hub", *may, check=False).startswith("no")


def test_a_word_about_another_object_is_refused_with_the_uid_to_write(hub: Stack):
    lease_uid, claim_uid = (
        uid_of(hub, "gpulease", "west"),
        uid_of(hub, "gpuclaim", "-n", ACME, "train"),
    )

    assert f"UID of this gpuclaim: {claim_uid}" in force(hub, BOSS, claimUID=lease_uid)
    assert f"UID of this gpulease: {lease_uid}" in lose(hub, BOSS, leaseUID=claim_uid)


def test_no_object_is_made_with_a_word_since_nobody_knows_its_uid(hub: Stack):
    made = claim("new", ACME, forceRelease={"claimUID": uid_of(hub, "gpulease", "west")})
    create = ("create", "-f", "-", "--dry-run=server")

    assert "UID of this gpuclaim" in hub.kubectl(
        "hub", *create, given=json.dumps(made), check=False
    )


def test_who_may_not_give_a_word_may_not_take_it_back(hub: Stack):
    hub.apply("hub", claim("said", ACME))
    where = ("gpuclaim", "said", "-n", ACME)
    word = {"forceRelease": {"claimUID": uid_of(hub, *where)}}
    assert "patched" in patch(hub, word, *where, BOSS)

    assert ONLY_RELEASE in patch(hub, {"forceRelease": None}, *where, TENANT)
    assert "patched" in patch(hub, {"tags": {"team": "a"}}, *where, TENANT)
    assert "patched" in patch(hub, {"forceRelease": None}, *where, BOSS)


def test_a_tenant_can_give_nobody_the_right(hub: Stack):
    role = ("create", "role", "mine", "--verb=force-release", "--resource=gpuclaims.sublet.dev")

    assert "attempting to grant RBAC permissions" in hub.kubectl("hub", "-n", ACME, *role, TENANT, check=False)  # fmt: skip
