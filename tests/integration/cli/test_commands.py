"""explain, kubeconfig, top and usage against a real hub: what they show, and how they fail."""

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.builders.api import claim, lease, uid_of
from tests.harness.shared import borrow_stack
from tests.harness.stack import NAMESPACE, Stack
from tests.integration.cli.program import PROGRAM, Program

pytestmark = [pytest.mark.planes, pytest.mark.timeout(400)]

ACME = "acme"
COMMANDS = (("top",), ("coverage",), ("explain", "train", "-n", ACME), ("kubeconfig", "train", "-n", ACME), ("usage",))  # fmt: skip


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A hub alone, without an operator: what it would write is written by hand."""
    hub = borrow_stack("commands", leased=())
    hub.apply("hub", *({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": n}} for n in (ACME, "other")))  # fmt: skip
    hub.apply("hub", claim("train", ACME, gpus=8), claim("waits", ACME, gpus=999))
    hub.apply("hub", lease("west", prices=[price("2026-01-01", "2.35"), price("2099-01-01", "9.99")]))  # fmt: skip
    write_status(hub, "train", bound(space(hub)))
    write_status(hub, "waits", {"pending": {"reason": "WaitingForCapacity", "message": "needs 999 GPUs, 16 are free"}})  # fmt: skip
    yield hub
    hub.stop()


@pytest.fixture(autouse=True)
def access(stack: Stack) -> dict[str, Any]:
    """The tenant's kubeconfig, as the operator keeps it beside the claim."""
    inner = {"cluster": "eu-west", "user": "eu-west", "namespace": space(stack)}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "eu-west", "cluster": {"server": "https://west"}}],
        "users": [{"name": "eu-west", "user": {"token": "t"}}],
        "contexts": [{"name": "eu-west", "context": inner}],
        "current-context": "eu-west",
    }
    put_secret(stack, yaml.safe_dump(config))
    return config


def space(stack: Stack) -> str:
    """The claim's namespace in the leased cluster."""
    return f"sublet-{stack.get('hub', 'gpuclaim', '-n', ACME, 'train')['metadata']['uid']}-1"


def price(day: str, per_gpu_hour: str) -> dict[str, str]:
    return {"effectiveTime": f"{day}T00:00:00Z", "perGpuHour": per_gpu_hour}


def bound(space: str) -> dict[str, Any]:
    now = "2026-11-22T10:00:00Z"
    placed = {"lease": "eu-west", "leaseUID": uid_of("lease"), "product": "NVIDIA-H100-80GB-HBM3", "gpus": 8, "node": "h100-0", "nodeUID": uid_of("node")}  # fmt: skip
    allocation = {
        "sequence": 1, "tenant": ACME, "tenantUID": uid_of(ACME), "pricePerGpuHour": "3.99", "currency": "USD",
        "priceHash": "0" * 64, "decidedTime": now, "boundTime": now, "placements": [placed],
    }  # fmt: skip
    done = {"status": "True", "lastTransitionTime": now, "message": ""}
    cluster = {"alias": "eu-west", "namespace": space, "expirationTime": now}
    return {
        "allocation": allocation,
        "access": {"secretName": "train-kubeconfig", "clusters": [cluster]},
        "conditions": [{"type": t, "reason": t, **done} for t in ("Reserved", "Bound", "Ready")],
    }


def write_status(stack: Stack, name: str, status: dict[str, Any]) -> None:
    patch = json.dumps({"status": status})
    stack.kubectl("hub", "patch", "gpuclaim", name, "-n", ACME, "--subresource=status", "--type=merge", "-p", patch)  # fmt: skip


def put_secret(stack: Stack, text: str) -> None:
    data = {"value": base64.b64encode(text.encode()).decode()}
    meta = {"name": "train-kubeconfig", "namespace": ACME}
    stack.apply("hub", {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": data})


def with_config(stack: Stack, text: str, name: str = "kubeconfig") -> Program:
    path = stack.folder / name
    path.write_text(text)
    return Program(stack, {"KUBECONFIG": str(path)})


def changed(sublet: Program, **fields: Any) -> str:
    """The person's kubeconfig with something of the hub's cluster or user changed."""
    config = yaml.safe_load(sublet.kubeconfig.read_text())
    config["clusters"][0]["cluster"].update(fields.get("cluster", {}))
    config["users"][0]["user"] = fields.get("user", config["users"][0]["user"])
    return yaml.safe_dump(config)


def test_a_claim_is_explained_and_more_so_when_wide(sublet: Program):
    done = sublet.works("explain", "train", "-n", ACME)
    assert done.line("State:     Bound")
    assert done.line("Nodes:     8 x NVIDIA-H100-80GB-HBM3 on h100-0 (eu-west)")
    assert "CONDITION" not in done.said

    wide = sublet.works("explain", "train", "-n", ACME, "-o", "wide")
    assert wide.said.startswith(done.said)
    assert wide.line("Reserved    True     Reserved   2026-11-22T10:00:00Z")

    waits = sublet.works("explain", "waits", "-n", ACME)
    assert waits.line("Because:   needs 999 GPUs, 16 are free")
    data = json.loads(sublet.works("explain", "train", "-n", ACME, "-o", "json").said)
    assert data["status"]["access"]["secretName"] == "train-kubeconfig"


def test_the_pool_is_shown_and_more_of_it_when_wide(sublet: Program):
    done = sublet.works("top")
    assert done.line(f"{ACME}        train   h100    8      Bound                eu-west")
    assert "landlord-of-west" not in done.said

    wide = sublet.works("top", "-o", "wide")
    assert "landlord-of-west   r1       2.35 USD" in wide.line("west ")
    assert "acme     3.99 USD   2026-11-22T10:00:00Z   h100-0" in wide.line(f"{ACME}        train")

    data = yaml.safe_load(sublet.works("top", "-o", "yaml").said)
    assert [c["metadata"]["name"] for c in data["claims"]] == ["train", "waits"]


def test_a_kubeconfig_is_printed_or_merged_and_never_replaces_the_users_own(
    sublet: Program, access: dict[str, Any], tmp_path: Path
):
    printed = yaml.safe_load(sublet.works("kubeconfig", "train", "-n", ACME).said)
    assert printed == access

    mine = json.loads(json.dumps(access).replace("sublet-", "mine-").replace("https://west", "https://mine"))  # fmt: skip
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(mine))
    for _ in range(2):
        done = sublet.works("kubeconfig", "train", "-n", ACME, "--into", str(path))
        assert done.said == f"merged into {path}; contexts: eu-west-train\n"
    merged = yaml.safe_load(path.read_text())
    assert merged["clusters"][0] == mine["clusters"][0]
    assert [c["name"] for c in merged["contexts"]] == ["eu-west", "eu-west-train"]


def test_the_namespace_is_that_of_the_context(sublet: Program, stack: Stack):
    config = yaml.safe_load(sublet.kubeconfig.read_text())
    config["contexts"][0]["context"]["namespace"] = ACME
    person = with_config(stack, yaml.safe_dump(config))

    assert person.works("explain", "train").line(f"Claim:     {ACME}/train")
    assert "claim default/train: not found" in person.refuses("explain", "train", "-n", "default")


def test_of_several_kubeconfigs_the_first_says_which_context_is_meant(
    sublet: Program, stack: Stack
):
    other = {"apiVersion": "v1", "kind": "Config", "current-context": "away", "clusters": [], "users": [], "contexts": []}  # fmt: skip
    second = stack.folder / "second"
    second.write_text(yaml.safe_dump(other))
    person = Program(stack, {"KUBECONFIG": f"{sublet.kubeconfig}:{second}"})

    assert "train" in person.works("top").said


def test_every_way_to_miss_the_hub_is_one_line(sublet: Program, stack: Stack):
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "/nowhere"}
    for config, words in (
        ("{ junk: [", "can't be read as a kubeconfig; set KUBECONFIG"),
        ("hello", "is not a kubeconfig; set KUBECONFIG"),
        ("", "your kubeconfig has no current context; give --context (there are: none)"),
        ("current-context: x\ncontexts: 7\n", "your kubeconfig has no context x; give --context (there are: none)"),
        (changed(sublet, cluster={"certificate-authority-data": "bm90aGluZw=="}), "are certificate-authority-data and the client certificate"),
        (changed(sublet, user={"exec": plugin}), "doesn't know who you are"),
        (changed(sublet, user={"token": "stale"}), "the hub doesn't accept your credentials; log in again"),
        (changed(sublet, user={"token": None, "password": "hunter2"}), "no usable kubeconfig"),
    ):  # fmt: skip
        said = with_config(stack, config).refuses("top")

        assert words in said, config
        assert "unexpected" not in said, config
        assert "hunter2" not in said


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c[0])
def test_a_hub_that_is_down_or_unknown_is_one_line(
    sublet: Program, stack: Stack, command: tuple[str, ...]
):
    away = with_config(stack, changed(sublet, cluster={"server": "https://127.0.0.1:1"}))
    nothing = Program(stack, {"KUBECONFIG": "/nowhere/config", "HOME": "/nowhere"})

    assert "the hub doesn't answer: GET" in away.refuses(*command)
    assert "set KUBECONFIG or --context" in nothing.refuses(*command)
    assert "has no context nope; give --context (there are: hub)" in sublet.refuses(*command, "--context", "nope")  # fmt: skip


def test_what_nobody_may_is_said_with_the_right_that_is_missing(sublet: Program, stack: Stack):
    stack.kubectl("hub", "create", "serviceaccount", "nobody", "-n", "other")
    token = stack.kubectl("hub", "create", "token", "nobody", "-n", "other").strip()
    nobody = with_config(stack, changed(sublet, user={"token": token}))

    for command in COMMANDS:
        said = nobody.refuses(*command)
        assert "the hub refuses: " in said
        assert 'User "system:serviceaccount:other:nobody" cannot' in said


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("explain", "nope", "-n", ACME), "claim acme/nope: not found on the hub; check name, namespace (-n)"),
        (("explain", "train", "-n", "nope"), "claim nope/train: not found on the hub"),
        (("explain", "../train", "-n", ACME), "'../train' can't be the name of a claim"),
        (("explain", "train", "-n", "a/b"), "'a/b' can't be the name of a namespace"),
        (("kubeconfig", "waits", "-n", ACME), "claim acme/waits isn't bound; `sublet explain waits -n acme` says why"),
        (("kubeconfig", "train", "-n", ACME, "--into", "/dev"), "/dev can't be read as a kubeconfig; name another file"),
        (("usage",), "no operator has run in namespace sublet-system of the hub"),
        (("usage", "--operator-namespace", "nope"), "no operator has run in namespace nope"),
        (("usage", "--from", "yesterday"), "give instants as 2026-11-22T10:00:00Z"),
        (("usage", "--admin", "http://127.0.0.1:1"), "the operator's admin endpoint at http://127.0.0.1:1 doesn't answer"),
        (("usage", "--admin", "nonsense"), "--admin: 'nonsense' is no address"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_that_says_what_to_do(
    sublet: Program, command: tuple[str, ...], words: str
):
    assert words in sublet.refuses(*command)


def test_a_secret_that_is_gone_or_holds_junk_is_one_line(sublet: Program, stack: Stack):
    for junk in ("{ junk: [", "hello", "kind: Config\n", ""):
        put_secret(stack, junk)
        said = sublet.refuses("kubeconfig", "train", "-n", ACME)
        assert said == "Secret acme/train-kubeconfig holds no kubeconfig; ask the platform team"
    stack.kubectl("hub", "delete", "secret", "-n", ACME, "train-kubeconfig")
    assert "Secret acme/train-kubeconfig is gone" in sublet.refuses("kubeconfig", "train", "-n", ACME)  # fmt: skip


def test_an_operator_that_cant_be_reached_is_one_line(sublet: Program, stack: Stack):
    held = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "sublet", "namespace": NAMESPACE}}  # fmt: skip
    stack.apply("hub", {**held, "spec": {"holderIdentity": "gone-pod_1"}})
    assert 'port-forward to the operator\'s pod failed: Error from server (NotFound): pods "gone-pod" not found' in sublet.refuses("usage")  # fmt: skip

    lonely = Program(stack, {"PATH": "/nowhere"})
    assert "kubectl isn't on the PATH; install it or give --admin" in lonely.refuses("usage")

    stack.apply("hub", {**held, "spec": {"holderIdentity": ""}})
    assert "no operator holds the Lease now" in sublet.refuses("usage")
    stack.kubectl("hub", "delete", "lease", "-n", NAMESPACE, "sublet")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("top", "--bogus"), "No such option: --bogus; see sublet top --help"),
        (("nope",), "No such command 'nope'; see sublet --help"),
        (("onboard", "--context", "west"), "Missing option '--name'; see sublet onboard --help"),
        (("usage", "--by", "x"), "Invalid value for '--by': 'x' is not one of 'claim', 'tenant', 'lease'"),
    ],
)  # fmt: skip
def test_a_mistyped_command_is_one_line_too(sublet: Program, command: tuple[str, ...], words: str):
    done = sublet.run(*command)

    assert done.status == 2
    assert done.complained.startswith(f"sublet: {words}")
    assert len(done.complained.splitlines()) == 1


def test_a_reader_who_has_seen_enough_gets_no_complaint(sublet: Program):
    environment = {**os.environ, "KUBECONFIG": str(sublet.kubeconfig)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([PROGRAM, "top"], env=environment, **pipes) as process:
        process.stdout.close()
        assert process.stderr.read() == b""


def test_coverage_is_shown_of_any_instant(sublet: Program):
    done = sublet.works("coverage", "--at", "2026-12-01T00:00:00Z", "-o", "wide")

    assert done.said.startswith("coverage at 2026-12-01T00:00:00Z\n")
    assert done.line("west ")
