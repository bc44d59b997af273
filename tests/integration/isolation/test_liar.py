"""A landlord that lies to the claims placed with it, at each step: they suffer and say so, and no other landlord's do."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.builders.api import claim, gpu_class, lease, tenant, uid_of
from tests.builders.nodes import H200, gpu_node
from tests.harness.hostile_cluster import KUBE_SYSTEM
from tests.harness.lying_cluster import LyingCluster, Showing, lying
from tests.harness.process import OperatorProcess
from tests.harness.shared import borrow_stack
from tests.harness.stack import Stack, condition
from tests.harness.waiting import wait_for
from tests.integration.isolation.lies import (
    BINDING,
    BUSY,
    FEIGNED_LOCK,
    LEAVING,
    NODES,
    STAYING,
    TOKENS,
    Told,
    showing,
)
from tests.integration.isolation.tenancy import Tenancy, runs

pytestmark = [pytest.mark.planes, pytest.mark.slow, pytest.mark.timeout(400)]

ACME = "acme"
LONG_DUE = "2026-01-01T00:00:00Z"
MOST_MEMORY_MIB = 500
"""Of the operator's process at its peak, as in test_provider.py."""


@dataclass(frozen=True)
class Landlords:
    """West is honest; whoever asks for class `lied` gets GPUs of east, which is reached through the liar."""

    stack: Stack
    operator: OperatorProcess
    liar: LyingCluster
    kept: dict[str, Any]
    """A claim on west, as it was bound before all lies"""


@pytest.fixture(scope="module")
def landlords() -> Iterator[Landlords]:
    stack = borrow_stack("liar")
    # strays are looked for at once
    operator = OperatorProcess(stack, SUBLET_DRIFT_SECONDS="1")
    try:
        operator.start()  # before the liar's thread: a process is forked
        stack.kubectl("hub", "create", "namespace", ACME)
        stack.apply("west", gpu_node("w0"), gpu_node("w1"))
        stack.apply("east", gpu_node("e0", H200))
        with lying(stack, "east") as liar:
            stack.apply("hub", lease("west", committed=16), tenant())
            stack.apply("hub", lease("east", product=H200.product, committed=8))
            stack.apply("hub", gpu_class(), gpu_class("lied", products=(H200.product,)))
            yield Landlords(stack, operator, liar, bind(stack, "kept", "h100"))
    finally:
        operator.kill()
        stack.stop()


@pytest.fixture(autouse=True)
def _operator_is_well(landlords: Landlords) -> Iterator[None]:
    """Whatever was answered: told the truth, the claim goes; the operator met nothing unexpected and took no more than it may."""
    wait_for("east sells", lambda: _east(landlords.stack, "CapacityMet") == "True")
    yield
    calmed(landlords)
    gone(landlords.stack, "lied-to", "beside")
    status = Path(f"/proc/{landlords.operator.pid}/status").read_text()
    peak = next(int(x.split()[1]) for x in status.splitlines() if x.startswith("VmHWM"))
    assert not landlords.operator.ended
    assert peak / 1024 < MOST_MEMORY_MIB
    assert '"Traceback' not in landlords.operator.log.read_text()


def bind(stack: Stack, name: str, class_name: str = "lied") -> dict[str, Any]:
    stack.apply("hub", claim(name, ACME, class_name=class_name))
    return wait_for(f"{name} bound", lambda: stack.is_bound(ACME, name), seconds=90)


def gone(stack: Stack, *names: str) -> None:
    """Delete claims that are there, and wait for their end."""
    how = ("--ignore-not-found", "--timeout=90s")
    stack.kubectl("hub", "-n", ACME, "delete", "gpuclaim", *names, *how)


def leaves(stack: Stack) -> None:
    """Let the claim that is lied to be deleted, and don't wait for its end."""
    stack.kubectl("hub", "-n", ACME, "delete", "gpuclaim", "lied-to", "--wait=false")


def uid_in(found: dict[str, Any]) -> str:
    return str(found["metadata"]["uid"])


def is_said(stack: Stack, words: str) -> bool:
    """Say whether a condition of the claim that is lied to says so, or one of the liar's lease; `|` is or."""
    told = (stack.claim(ACME, "lied-to"), stack.get("hub", "gpulease", "east"))
    found = [c for each in told if each for c in each.get("status", {}).get("conditions", [])]
    return any(word in each["message"] for each in found for word in words.split("|"))


def west_is_well(landlords: Landlords) -> None:
    """A claim is bound on west and given back, beside one that is as it was; each of its GPUs is sold once."""
    stack, kept = landlords.stack, landlords.kept
    beside = bind(stack, "beside", "h100")
    (old,), (new,) = (c["status"]["allocation"]["placements"] for c in (kept, beside))
    assert (old["lease"], new["lease"]) == ("west", "west")
    sold = {p["node"]: f"{uid_in(c)}=8" for c, p in ((kept, old), (beside, new))}
    assert stack.books("west") == sold
    assert is_as_it_was(stack, kept)
    assert condition(stack.get("hub", "gpulease", "west"), "Ready") == "True"
    gone(stack, "beside")


def is_as_it_was(stack: Stack, before: dict[str, Any]) -> bool:
    """Say whether a claim is bound and has what it had."""
    now = stack.is_bound(ACME, before["metadata"]["name"])
    return now is not None and now["status"]["allocation"] == before["status"]["allocation"]


def touched(landlords: Landlords) -> None:
    """Have the liar's node change, so that its watch tells of it."""
    mark = f"landlord.example/asked={len(landlords.liar.asked)}"
    landlords.stack.kubectl("east", "annotate", "--overwrite", "node", "e0", mark)


def calmed(landlords: Landlords) -> None:
    """Have the truth told from now on, of the node too."""
    landlords.liar.calm()
    touched(landlords)


def by_names(told: dict[Any, Told]) -> Callable[[Any], Any]:
    return pytest.mark.parametrize("told", told.values(), ids=map(str, told))


@by_names(BINDING)
def test_a_lie_to_a_claim_that_is_being_bound_is_said_and_harms_no_other(
    landlords: Landlords, told: Told
):
    stack = landlords.stack
    told.by(landlords.liar)
    stack.apply("hub", claim("lied-to", ACME, class_name="lied"))
    wait_for("said", lambda: is_said(stack, told.words))

    west_is_well(landlords)
    assert not stack.is_bound(ACME, "lied-to")
    calmed(landlords)
    wait_for("bound by the truth", lambda: stack.is_bound(ACME, "lied-to"))


def test_a_lock_that_is_feigned_is_taken_anew(landlords: Landlords):
    """Nobody can see that it is; it is the landlord's own node that it takes off itself."""
    stack = landlords.stack
    FEIGNED_LOCK.by(landlords.liar)
    bound = bind(stack, "lied-to")

    west_is_well(landlords)
    calmed(landlords)
    wait_for("locked", lambda: stack.books("east") == {"e0": f"{uid_in(bound)}=8"})


@by_names(TOKENS)
def test_a_lie_about_a_new_token_leaves_the_old_one_to_the_claim(landlords: Landlords, told: Told):
    stack = landlords.stack
    before = bind(stack, "lied-to")
    access = stack.get("hub", "secret", "-n", ACME, "lied-to-kubeconfig")["data"]
    told.by(landlords.liar)
    due = json.dumps({"status": {"access": {"renewalTime": LONG_DUE}}})
    stack.kubectl("hub", "-n", ACME, "patch", "gpuclaim", "lied-to", "--subresource=status", "--type=merge", "-p", due)  # fmt: skip
    wait_for("said", lambda: is_said(stack, "the cluster gives no new token"))

    west_is_well(landlords)
    assert is_as_it_was(stack, before)
    assert stack.get("hub", "secret", "-n", ACME, "lied-to-kubeconfig")["data"] == access
    calmed(landlords)
    wait_for("renewed", lambda: is_said(stack, "every token was renewed"))


def test_a_landlord_whose_node_has_the_uid_of_anothers_takes_nothing_from_it(landlords: Landlords):
    """Of one that a claim has, and of one that is free: the next claim must get it."""
    stack, liar = landlords.stack, landlords.liar
    before = bind(stack, "lied-to")
    for node in stack.get("west", "nodes")["items"]:
        liar.calm()
        liar.tell("*", NODES, showing(metadata={"uid": uid_in(node)}))
        lies = liar.lies
        touched(landlords)
        wait_for("heard", lambda n=lies: liar.lies > n)
        wait_for("said", lambda: is_said(stack, "node e0 at east (gone) can't be used"))
        west_is_well(landlords)

    assert is_as_it_was(stack, before)


def test_a_landlord_whose_book_names_anothers_claim_holds_up_nothing_of_it(landlords: Landlords):
    stack, liar = landlords.stack, landlords.liar
    beside = bind(stack, "beside", "h100")
    liar.tell("*", NODES, _booked_for(uid_in(beside), uid_in(landlords.kept)))
    touched(landlords)
    wait_for("said", lambda: is_said(stack, "held for claims that don't have them"))

    gone(stack, "beside")
    west_is_well(landlords)
    calmed(landlords)
    wait_for("said no more", lambda: not is_said(stack, "held for claims"))


@by_names(STAYING)
def test_a_claim_that_cant_be_believed_to_have_left_is_held_and_harms_no_other(
    landlords: Landlords, told: Told
):
    stack, asked = landlords.stack, len(landlords.liar.asked)
    home = bind(stack, "lied-to")["status"]["access"]["clusters"][0]["namespace"]
    told.by(landlords.liar)
    leaves(stack)
    wait_for("said", lambda: is_said(stack, told.words))

    west_is_well(landlords)
    assert stack.claim(ACME, "lied-to") is not None
    removed = [p for m, p in landlords.liar.asked[asked:] if m == "DELETE"]
    assert removed
    assert all(f"/namespaces/{home}" in path for path in removed), removed


@by_names(LEAVING)
def test_what_a_landlord_keeps_of_a_claim_that_left_is_swept_when_it_lies_no_more(
    landlords: Landlords, told: Told
):
    stack = landlords.stack
    bind(stack, "lied-to")
    told.by(landlords.liar)
    gone(stack, "lied-to")

    west_is_well(landlords)
    calmed(landlords)
    bind(stack, "lied-to")
    gone(stack, "lied-to")
    wait_for("swept", lambda: stack.claim_namespaces("east") == [])


@by_names(BUSY)
def test_while_one_landlord_is_too_busy_for_an_hour_another_ones_claims_are_bound(
    landlords: Landlords, told: Told
):
    stack, liar = landlords.stack, landlords.liar
    before = bind(stack, "lied-to")
    told.by(liar)
    wait_for("said", lambda: _east(stack, "Reachable") != "True")
    leaves(stack)
    for _ in range(3):
        lies = liar.lies
        west_is_well(landlords)
        wait_for("it is asked again", lambda n=lies: liar.lies > n)

    assert stack.books("east") == {"e0": f"{uid_in(before)}=8"}
    liar.calm()


def test_a_cluster_that_becomes_another_is_not_written_to(landlords: Landlords):
    """Though there is much to write: a claim leaves, and another one's node is to be adopted."""
    stack, liar = landlords.stack, landlords.liar
    before, asked = bind(stack, "lied-to"), len(liar.asked)
    liar.tell("GET", KUBE_SYSTEM, showing(metadata={"uid": uid_of("somebody else")}))
    wait_for("said", lambda: _east(stack, "IdentityConfirmed") == "False")
    leaves(stack)
    stack.apply("east", gpu_node("e1", H200))
    probes = _probes(liar)
    wait_for("looked at again", lambda: _probes(liar) > probes + 2)
    west_is_well(landlords)

    assert {method for method, _ in liar.asked[asked:]} == {"GET"}
    assert stack.books("east") == {"e0": f"{uid_in(before)}=8", "e1": "-"}
    liar.calm()
    wait_for("known again", lambda: _east(stack, "IdentityConfirmed") == "True")
    gone(stack, "lied-to")
    stack.kubectl("east", "delete", "node", "e1")


def test_after_all_that_the_honest_landlords_tenant_runs_its_pod(landlords: Landlords):
    kept = {"kept": landlords.kept}

    runs(Tenancy(landlords.stack, landlords.operator, kept), "kept")


def _east(stack: Stack, type_: str) -> str | None:
    return condition(stack.get("hub", "gpulease", "east"), type_)


def _probes(liar: LyingCluster) -> int:
    return liar.asked.count(("GET", KUBE_SYSTEM))


def _booked_for(*uids: str) -> Showing:
    """Return a lie by which each of these claims has half of a node."""

    def change(node: dict[str, Any]) -> None:
        book = ",".join(f"{uid}=4" for uid in uids)
        node["metadata"]["annotations"]["sublet.dev/allocation"] = book
        node["metadata"]["labels"].update({f"claim.sublet.dev/{uid}": "true" for uid in uids})

    return Showing(change)
