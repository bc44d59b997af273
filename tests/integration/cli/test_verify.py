"""`sublet verify` on a real system: sound while the operator runs, and each wound by hand is named."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sublet.ledger.entry import EntryKind
from tests.builders.api import claim, gpu_class, lease, tenant, uid_of
from tests.builders.nodes import gpu_node
from tests.harness.ledger import count_lines, facts_in
from tests.harness.process import OperatorProcess
from tests.harness.shared import borrow_stack
from tests.harness.stack import NAMESPACE, Stack, operator_kubeconfig
from tests.harness.waiting import wait_for
from tests.harness.wounds import strip_node, unguarded
from tests.integration.cli.program import Done, Program, operator_kubeconfig_for

pytestmark = [pytest.mark.planes, pytest.mark.timeout(400)]

ACME = "acme"
STRANGER = uid_of("a claim that nobody made")


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    # without the belt, which refuses most of the wounds
    running = borrow_stack("verify", leased=("west",), belt=False)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def operator(stack: Stack) -> Iterator[OperatorProcess]:
    stack.apply("hub", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ACME}})
    stack.apply("west", gpu_node("h100-0"), gpu_node("h100-1"), gpu_node("h100-2"))
    stack.apply("hub", lease("west", committed=24), gpu_class(), tenant())
    running = OperatorProcess(stack).start()
    stack.apply("hub", claim("train", ACME))
    wait_for("bound", lambda: stack.is_bound(ACME, "train"))
    wait_for("its line", lambda: any(f.kind is EntryKind.BOUND for f in facts_in(running.database)))
    yield running
    running.kill()


@pytest.fixture
def bound(operator: OperatorProcess, stack: Stack) -> Iterator[dict[str, Any]]:
    """A bound claim, and an operator that is stopped, so that wounds stay."""
    found = wait_for("bound", lambda: stack.is_bound(ACME, "train"))
    operator.kill()
    yield found
    operator.start()


class Verifier:
    """Runs the command as the platform team does."""

    def __init__(self, program: Program, database: str) -> None:
        self.program = program
        self.database = database

    def run(self, *options: str) -> Done:
        """Run it with the person's own rights in west."""
        whole = ("--database", self.database, "--cluster", "west=west", "--patience", "1")
        return self.program.run("verify", *whole, *options)

    def finds(self, id_: str, subject: str, *words: str) -> None:
        """Run it, and find this violation named with these words."""
        done = self.run()
        assert done.status == 1, done
        assert done.complained == "", done
        found = [x for x in done.said.splitlines() if x.startswith(f"{id_} {subject}: ")]
        assert found, done.said
        assert all(any(word in line for line in found) for word in words), done.said

    def finds_nothing(self) -> Done:
        """Run it, and find all well."""
        done = self.run()
        assert done.status == 0, done.said + done.complained
        return done


@pytest.fixture
def verifier(operator: OperatorProcess, stack: Stack) -> Verifier:
    return Verifier(Program(stack), operator.database)


def test_a_system_that_works_violates_nothing(
    operator: OperatorProcess, stack: Stack, verifier: Verifier
):
    said = verifier.finds_nothing().said.splitlines()

    assert said == [
        (
            "checked 1 claims, 1 leases, 3 nodes, 2 namespaces, 0 pods, 1 secrets, "
            f"{count_lines(operator.database)} ledger lines: 0 violations, 0 unknown"
        )
    ]


def test_programs_get_json(operator: OperatorProcess, verifier: Verifier):
    answer = json.loads(verifier.run("-o", "json").said)

    assert (answer["violations"], answer["unknown"], answer["unchecked"]) == ([], [], {})
    assert answer["checked"]["nodes"] == 3


def test_the_leases_own_credential_sees_all_but_the_ledger(
    operator: OperatorProcess, stack: Stack, verifier: Verifier
):
    done = verifier.program.run("verify", "--patience", "1")

    assert done.status == 0, done
    lines = [x.split(";")[0] for x in done.said.splitlines() if x.startswith("not checked: ")]
    assert lines == ["not checked: ledger: A1 to A4, and S11 in the ledger"]


def test_the_ledger_can_be_read_through_the_operator(operator: OperatorProcess, verifier: Verifier):
    admin = f"http://127.0.0.1:{operator.port('admin')}"
    done = verifier.program.run("verify", "--patience", "1", "--admin", admin)

    assert done.status == 0, done
    assert f" {count_lines(operator.database)} ledger lines: 0 violations" in done.said


def test_each_wound_is_named_and_healed(
    bound: dict[str, Any], stack: Stack, verifier: Verifier, tmp_path: Path
):
    config = operator_kubeconfig_for(stack, "west", tmp_path / "operators.kubeconfig")

    def hand(*arguments: str, given: str | None = None) -> None:
        """Do what nobody but the operator's own identity may, and the operator never would."""
        stack.kubectl_with(config, *arguments, given=given)

    uid, placed = bound["metadata"]["uid"], bound["status"]["allocation"]["placements"][0]["node"]
    free = next(n for n in ("h100-0", "h100-1", "h100-2") if n != placed)
    home = f"sublet-{uid}-1"
    policy = _again(stack.get("west", "networkpolicy", "-n", home, "sublet"))
    access = _again(stack.get("hub", "secret", "-n", ACME, "train-kubeconfig"))

    def node(name: str, *change: str) -> None:
        hand(*change[:1], "node", name, *change[1:])

    def unfenced() -> None:
        """Open the node to everybody's pods, which no identity may."""
        with unguarded(stack, "west"):
            strip_node(stack, "west", placed, taint=True)

    wounds: list[tuple[Callable[[], object], Callable[[], object], tuple[str, ...]]] = [
        (
            lambda: node(placed, "label", f"claim.sublet.dev/{uid}-"),
            lambda: node(placed, "label", f"claim.sublet.dev/{uid}=true"),
            ("S1", f"node west/{placed}", f"without the label claim.sublet.dev/{uid}"),
        ),
        (
            lambda: node(placed, "annotate", "--overwrite", f"sublet.dev/allocation={uid}=4"),
            lambda: node(placed, "annotate", "--overwrite", f"sublet.dev/allocation={uid}=8"),
            ("S1", f"node west/{placed}", "gives claim acme/train 4 GPUs, but it is bound to 8"),
        ),
        (
            lambda: hand("patch", "node", free, "--type=merge", "-p", _entry(STRANGER, STRANGER)),
            lambda: hand("patch", "node", free, "--type=merge", "-p", _entry(STRANGER, None)),
            ("S9", f"node west/{free}", "which the hub doesn't know"),
        ),
        (
            lambda: hand("create", "-f", "-", given=_namespace(STRANGER)),
            lambda: stack.kubectl("west", "delete", "namespace", f"sublet-{STRANGER}-1"),
            ("S9", f"namespace west/sublet-{STRANGER}-1", "which the hub doesn't know"),
        ),
        (
            lambda: stack.kubectl("west", "-n", home, "delete", "networkpolicy", "sublet"),
            lambda: hand("create", "-f", "-", given=policy),
            ("S4", f"namespace west/{home}", "the NetworkPolicy is missing"),
        ),
        (
            lambda: stack.kubectl("hub", "-n", ACME, "delete", "secret", "train-kubeconfig"),
            lambda: stack.kubectl_with(
                operator_kubeconfig(stack), "create", "--validate=false", "-f", "-", given=access
            ),
            ("L5", "claim acme/train", "its Secret train-kubeconfig is missing"),
        ),
        # the last: the policies act again after it, the belt too
        (
            unfenced,
            lambda: node(placed, "taint", f"sublet.dev/pool={_lease_uid(stack)}:NoSchedule"),
            ("S4", f"node west/{placed}", "its taint sublet.dev/pool isn't"),
        ),
    ]
    for wound, heal, named in wounds:
        wound()
        verifier.finds(*named)
        heal()
    verifier.finds_nothing()


def _again(obj: dict[str, Any]) -> str:
    """Return an object so that it can be made anew."""
    kept = ("name", "namespace", "ownerReferences", "labels")
    meta = {k: v for k, v in obj["metadata"].items() if k in kept}
    return json.dumps({**obj, "metadata": meta})


def _lease_uid(stack: Stack) -> str:
    return str(stack.get("hub", "gpulease", "west")["metadata"]["uid"])


def _namespace(uid: str) -> str:
    labels = {"sublet.dev/claim": uid, "pod-security.kubernetes.io/enforce": "restricted"}
    meta = {"name": f"sublet-{uid}-1", "labels": labels}
    return json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})


def _entry(uid: str, tenant_uid: str | None) -> str:
    """Return the patch that puts a claim on a node, or takes it off without a tenant."""
    book = {"sublet.dev/allocation": f"{uid}=8" if tenant_uid else ""}
    label = {f"claim.sublet.dev/{uid}": "true" if tenant_uid else None}
    notes = book | {"sublet.dev/tenant": tenant_uid}
    return json.dumps({"metadata": {"annotations": notes, "labels": label}})


def test_what_cant_be_read_is_unknown_and_no_violation(
    operator: OperatorProcess, stack: Stack, verifier: Verifier
):
    secret = stack.get("hub", "secret", "-n", NAMESPACE, "west")
    broken = {**secret, "data": {"kubeconfig": "bm9wZQ=="}, "metadata": {
        "name": "west", "namespace": NAMESPACE, "labels": secret["metadata"]["labels"]}}  # fmt: skip
    stack.apply("hub", broken)
    try:
        done = verifier.program.run("verify", "--patience", "0")
    finally:
        mended = {**broken, "data": secret["data"]}
        stack.apply("hub", mended)

    assert done.status == 2, done
    assert done.complained == "", done
    (line,) = [x for x in done.said.splitlines() if x.startswith("unknown: ")]
    assert "unknown: lease west: Secret sublet-system/west has a kubeconfig that is refused" in line
    assert "nope" not in done.said


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--context", "nowhere"), "your kubeconfig has no context nowhere"),
        (("--cluster", "west"), "--cluster west isn't LEASE=CONTEXT"),
        (("--cluster", "south=west"), "the hub has no GpuLease south"),
        (("--database", "nonsense"), "must be sqlite:///FILE or postgresql://"),
        (("--context", "west"), "the hub doesn't know this kind"),
    ],
)
def test_a_wrong_question_is_one_line_and_exit_status_2(
    operator: OperatorProcess, verifier: Verifier, options: tuple[str, ...], words: str
):
    done = verifier.program.run("verify", *options)

    assert done.status == 2, done
    assert len(done.complained.splitlines()) == 1, done
    assert words in done.complained


def test_a_database_that_isnt_there_is_unknown_and_not_made(
    operator: OperatorProcess, stack: Stack, verifier: Verifier
):
    file = stack.folder / "nothing.sqlite"
    done = verifier.program.run("verify", "--patience", "0", "--database", f"sqlite:///{file}")

    assert done.status == 2, done
    assert "unknown: the ledger: the ledger's store is away: unable to open" in done.said
    assert not file.exists()
