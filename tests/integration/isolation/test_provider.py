"""A landlord whose cluster lies to a real operator: its lease says so, and another landlord's lease sells on as before.

Nothing is ever sold there; what it may do to claims that it has is in test_liar.py.
"""

import base64
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from sublet.fleet.credential import CREDENTIALS_LABEL
from sublet.kube.informer import MAX_BACKOFF_SECONDS
from tests.builders.api import claim, gpu_class, lease, tenant, uid_of
from tests.builders.nodes import gpu_node
from tests.harness import waiting
from tests.harness.fake_api import Answer
from tests.harness.hostile import ANYWHERE, NODES, a_node, blackhole, drip, flood, garbage
from tests.harness.hostile_cluster import HostileCluster, serving
from tests.harness.process import OperatorProcess
from tests.harness.shared import borrow_stack
from tests.harness.stack import NAMESPACE, Stack, condition
from tests.integration.isolation.tenancy import Tenancy, runs

pytestmark = [pytest.mark.planes, pytest.mark.slow, pytest.mark.timeout(400)]

ACME = "acme"
NODES_PATH = "/api/v1/nodes"
MOST_MEMORY_MIB = 500
"""Of the operator's process at its peak; about 150 without liars."""
wait_for = partial(waiting.wait_for, seconds=MAX_BACKOFF_SECONDS + 60.0)
"""What an earlier lie left: the lease may be asked again only after the longest back-off."""


@dataclass(frozen=True)
class Landlords:
    """West is honest; `liar` is what lease east leads to."""

    stack: Stack
    operator: OperatorProcess
    liar: HostileCluster


@pytest.fixture(scope="module")
def landlords() -> Iterator[Landlords]:
    stack = borrow_stack("provider", leased=("west",))
    operator = OperatorProcess(stack)
    try:
        operator.start()  # before the liar's thread: a process is forked
        stack.kubectl("hub", "create", "namespace", ACME)
        stack.apply("west", gpu_node("w0"), gpu_node("w1"))
        with serving(HostileCluster(stack.folder / "liar", uid_of("liar"))) as liar:
            liar.put(a_node("n0", labels={"sublet.dev/lease": "x"}))  # another's: never sold
            stack.apply("hub", _secret(liar), lease("west", committed=16), lease("east"))
            stack.apply("hub", gpu_class(), tenant())
            yield Landlords(stack, operator, liar)
    finally:
        operator.kill()
        stack.stop()


def _secret(liar: HostileCluster) -> dict[str, object]:
    meta = {"name": "east", "namespace": NAMESPACE, "labels": {CREDENTIALS_LABEL: "true"}}
    data = {"kubeconfig": base64.b64encode(liar.kubeconfig().encode()).decode()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": data}


@pytest.fixture(autouse=True)
def _honest(landlords: Landlords) -> Iterator[None]:
    wait_for("east is well", lambda: says(landlords, "Reachable") == "True" and says(landlords, "CapacityMet") != "Unknown")  # fmt: skip
    yield
    landlords.liar.calm()


def says(landlords: Landlords, type_: str, field: str = "status") -> str | None:
    return condition(landlords.stack.get("hub", "gpulease", "east"), type_, field)


def west_sells(landlords: Landlords, name: str) -> None:
    """Bind a claim on west and give it back."""
    stack = landlords.stack
    stack.apply("hub", claim(name, ACME))
    bound = wait_for(f"{name} bound", lambda: stack.is_bound(ACME, name))
    assert {p["lease"] for p in bound["status"]["allocation"]["placements"]} == {"west"}
    stack.kubectl("hub", "-n", ACME, "delete", "gpuclaim", name, "--timeout=90s")


NONSENSE = {"100 MB", "a bomb", "too deep", "no UTF-8", "a redirect", "another kind"}


@pytest.mark.parametrize("lie", sorted(NONSENSE))
def test_nonsense_of_one_landlord_is_said_on_its_lease_and_harms_no_other(
    landlords: Landlords, lie: str
):
    landlords.liar.lies["/"] = ANYWHERE[lie]
    wait_for("said", lambda: says(landlords, "Reachable", "reason") == "BadAnswer")

    assert "isn't what a Kubernetes API server answers" in str(says(landlords, "Reachable", "message"))  # fmt: skip
    assert condition(landlords.stack.get("hub", "gpulease", "west"), "Ready") == "True"
    west_sells(landlords, "beside-nonsense")


@pytest.mark.parametrize("lie", ["an endless list", "one UID twice", "a name of two lines"])
def test_nodes_that_cant_be_are_said_on_their_lease_and_harm_no_other(
    landlords: Landlords, lie: str
):
    landlords.liar.lies[NODES_PATH] = NODES[lie]
    landlords.liar.cut()
    wait_for("said", lambda: "the nodes can't be read" in str(says(landlords, "CapacityMet", "message")))  # fmt: skip

    assert says(landlords, "Reachable") == "True"
    west_sells(landlords, "beside-nodes")


@pytest.mark.parametrize("watch", [flood, garbage])
def test_a_flood_of_one_landlord_leaves_the_others_their_turn(landlords: Landlords, watch: Answer):
    landlords.liar.next_watch.extend([watch] * 20)
    landlords.liar.cut()
    wait_for("it floods", lambda: len(landlords.liar.next_watch) < 20)
    for turn in range(3):
        west_sells(landlords, f"beside-flood-{turn}")


@pytest.mark.parametrize("silence", [blackhole, drip])
def test_while_one_landlord_never_answers_another_ones_claims_are_bound(
    landlords: Landlords, silence: Answer
):
    """The trace: at each bind on west requests to east are waiting for their answers, and none is waited for."""
    landlords.liar.lies["/"] = silence
    landlords.liar.cut()
    for turn in range(3):
        wait_for("somebody waits for east", lambda: landlords.liar.pending > 0)
        west_sells(landlords, f"beside-silence-{turn}")
    wait_for("said", lambda: says(landlords, "Reachable") == "Unknown")


def test_a_server_with_a_certificate_of_another_ca_isnt_spoken_to(landlords: Landlords):
    """The lease's credential comes to lead to a server whose certificate the pinned CA didn't sign."""
    stack, path = landlords.stack, landlords.stack.folder / "other-ca"
    with serving(HostileCluster(path, uid_of("liar"))) as impostor:
        shutil.copy(landlords.liar.folder / "ca.crt", Path(path) / "ca.crt")
        stack.apply("hub", _secret(impostor))
        wait_for("said", lambda: "certificate" in str(says(landlords, "Reachable", "message")))  # fmt: skip
        assert impostor.requests == []
        west_sells(landlords, "beside-impostor")
        stack.apply("hub", _secret(landlords.liar))
        wait_for("well", lambda: says(landlords, "Reachable") == "True")


def test_after_the_largest_lies_the_operator_lives_and_its_memory_is_bounded(landlords: Landlords):
    for lie in ("100 MB", "a bomb", "too deep"):
        landlords.liar.lies["/"] = ANYWHERE[lie]
        wait_for("said", lambda: says(landlords, "Reachable", "reason") == "BadAnswer")
        landlords.liar.calm()
        wait_for("well", lambda: says(landlords, "Reachable") == "True")
    status = Path(f"/proc/{landlords.operator.pid}/status").read_text()
    peak = next(int(x.split()[1]) for x in status.splitlines() if x.startswith("VmHWM"))

    assert not landlords.operator.ended
    assert peak / 1024 < MOST_MEMORY_MIB
    assert '"Traceback' not in landlords.operator.log.read_text()


def test_after_all_that_the_honest_landlords_tenant_runs_its_pod(landlords: Landlords):
    stack = landlords.stack
    stack.apply("hub", claim("work", ACME))
    bound = wait_for("bound", lambda: stack.is_bound(ACME, "work"))

    runs(Tenancy(stack, landlords.operator, {"work": bound}), "work")
    stack.kubectl("hub", "-n", ACME, "delete", "gpuclaim", "work", "--timeout=90s")
