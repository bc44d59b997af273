"""Nothing secret, and nobody's name or price, where it doesn't belong: all that is written is scanned after a whole life.

What is looked for: every token, key and kubeconfig that was in use, whole, in base64 and as parts of a token. Where it is
looked for: every object but Secrets on all planes, Events, logs, metrics, the admin pages, records and their redacted
copies, and the ledger's file.
"""

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from sublet.cli.replay import redacted_text
from sublet.fleet.credential import CREDENTIALS_LABEL
from sublet.record.passes import read_pass
from tests.builders.api import claim, gpu_class, lease, tenant
from tests.builders.nodes import gpu_node
from tests.harness.hours import Hours
from tests.harness.process import OperatorProcess
from tests.harness.shared import borrow_stack
from tests.harness.stack import NAMESPACE, Stack, condition, operator_kubeconfig
from tests.harness.tenants import write_access
from tests.harness.waiting import wait_for
from tests.integration.isolation.tenancy import ACME, GLOBEX

pytestmark = [pytest.mark.planes, pytest.mark.slow, pytest.mark.timeout(600)]

PLANES = ("hub", "west")
SICK = "nvidia.com/gpu-xid-error"
JUNK_TOKEN = "junk-token-that-nobody-may-see-7f3a9c"
_SHORTEST = 16


@dataclass
class Life:
    """What was in use and what was written."""

    stack: Stack
    operator: OperatorProcess
    secrets: set[str] = field(default_factory=set)
    places: dict[str, str] = field(default_factory=dict)
    """where -> text"""
    names: list[str] = field(default_factory=list)
    """Nodes and UIDs of globex's claims."""


@pytest.fixture(scope="module")
def life() -> Iterator[Life]:
    stack = borrow_stack("secrets", leased=("west",))
    hours = Hours(stack)
    records = stack.folder / "passes"
    operator = OperatorProcess(
        stack, module="tests.harness.shifting", CLOCK_SHIFT=str(hours.file),
        SUBLET_RECORD_PASSES="200", SUBLET_RECORD_DIRECTORY=str(records),
    )  # fmt: skip
    try:
        found = Life(stack, operator)
        _live(found, hours)
        _collect(found, records)
        yield found
    finally:
        operator.kill()
        stack.stop()


def _live(life: Life, hours: Hours) -> None:
    """Bind for two tenants, replace a node, renew, release, and show the operator credentials that fail."""
    stack = life.stack
    for namespace in (ACME, GLOBEX):
        stack.kubectl("hub", "create", "namespace", namespace)
    stack.apply("west", *(gpu_node(f"n{i}") for i in range(4)))
    stack.apply("hub", lease("west", committed=32), gpu_class(), tenant())
    stack.apply("hub", tenant("globex", namespaces=(GLOBEX,)), _bait(), lease("bait", clusterRef={"kubeconfigSecretRef": {"name": "bait"}}))  # fmt: skip
    life.operator.start()
    stack.apply("hub", claim("mine", ACME, replacement="OnFailure"), claim("theirs", GLOBEX))
    for namespace, name in ((ACME, "mine"), (GLOBEX, "theirs")):
        bound = wait_for(f"{name} bound", lambda ns=namespace, n=name: stack.is_bound(ns, n))
        _note_access(life, bound)
        if name == "theirs":
            life.names = [bound["metadata"]["uid"], bound["status"]["allocation"]["tenantUID"]]
    node = stack.claim(ACME, "mine")["status"]["allocation"]["placements"][0]["node"]
    stack.kubectl("west", "taint", "nodes", node, f"{SICK}=yes:NoSchedule")
    wait_for("told", lambda: condition(stack.claim(ACME, "mine") or {}, "Degraded") == "True")
    hours.move(0.2)
    wait_for("moved", lambda: stack.claim(ACME, "mine")["status"]["allocation"]["sequence"] == 2)
    hours.move(3.5)
    _note_access(life, wait_for("bound", lambda: stack.is_bound(ACME, "mine")))
    wait_for("bait is refused", lambda: condition(stack.get("hub", "gpulease", "bait"), "CredentialsValid") == "False")  # fmt: skip
    stack.kubectl("hub", "-n", ACME, "delete", "gpuclaim", "mine", "--timeout=60s")
    stack.apply("hub", claim("again", ACME, gpus=2))
    _note_access(life, wait_for("again bound", lambda: stack.is_bound(ACME, "again")))
    _revoke(stack)


def _bait() -> dict[str, Any]:
    """Return a credential that is refused: an exec plugin beside a token."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://bait.example", "certificate-authority-data": "AAAA"}}],
        "users": [{"name": "u", "user": {"token": JUNK_TOKEN, "exec": {"command": "sh", "args": [JUNK_TOKEN]}}}],
    }  # fmt: skip
    data = {"kubeconfig": base64.b64encode(yaml.safe_dump(config).encode()).decode()}
    meta = {"name": "bait", "namespace": NAMESPACE, "labels": {CREDENTIALS_LABEL: "true"}}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": data}


def _revoke(stack: Stack) -> None:
    """Let the lease's credential be refused by its cluster, and see it said."""
    stack.kubectl("west", "-n", NAMESPACE, "delete", "serviceaccount", "sublet")
    wait_for("refused", lambda: condition(stack.get("hub", "gpulease", "west"), "CredentialsValid") == "False")  # fmt: skip


def _note_access(life: Life, bound: dict[str, Any]) -> None:
    name = f"{bound['metadata']['name']}-{len(life.secrets)}"
    path = write_access(life.stack, bound, life.stack.folder / f"{name}.kubeconfig")
    life.secrets |= secrets_of(path.read_bytes())


def secrets_of(kubeconfig: bytes) -> set[str]:
    """Return a kubeconfig's secrets: as a whole, its tokens and keys, in base64 too, and the signature alone."""
    users = [entry["user"] for entry in yaml.safe_load(kubeconfig)["users"]]
    plain = {text for user in users for key, text in user.items() if key in ("token", "client-key-data")}  # fmt: skip
    parts = {part for text in plain for part in text.split(".")[1:]}
    found = {kubeconfig.decode(), *plain, *parts}
    packed = {base64.b64encode(text.encode()).decode().rstrip("=") for text in found}
    return {text for text in found | packed if len(text) >= _SHORTEST}


def _collect(life: Life, records: Path) -> None:
    stack, operator = life.stack, life.operator
    life.secrets |= secrets_of(operator_kubeconfig(stack).read_bytes()) | {JUNK_TOKEN}
    for name in ("west", "bait"):
        kept = stack.get("hub", "secret", "-n", NAMESPACE, name)
        life.secrets |= secrets_of(base64.b64decode(kept["data"]["kubeconfig"]))
    for plane in PLANES:
        for kind in _kinds(stack, plane):
            life.places[f"{plane}: {kind}"] = stack.kubectl(plane, "get", kind, "-A", "-o", "json", "--show-managed-fields", check=False)  # fmt: skip
    life.places["metrics"] = "\n".join(operator.metrics())
    span = "from=2026-01-01T00:00:00Z&to=2036-01-01T00:00:00Z"
    usage = [f"/admin/v1/usage?by={by}&{span}" for by in ("claim", "tenant", "lease")]
    for path in (*usage, "/admin/v1/ledger/verify", "/admin/v1/pass"):
        life.places[f"admin {path}"] = json.dumps(operator.admin(path))
    operator.terminate()
    life.places["log"] = operator.log.read_text()
    ledger = Path(operator.database.removeprefix("sqlite:///"))
    life.places["ledger"] = ledger.read_bytes().decode("latin-1")
    for record in sorted(records.iterdir()):
        text = record.read_text()
        life.places[f"record {record.name}"] = text
        redacted = redacted_text(read_pass(text), price_ratios=True)
        life.places[f"redacted {record.name}"] = redacted


def _kinds(stack: Stack, plane: str) -> list[str]:
    every = stack.kubectl(plane, "api-resources", "--verbs=list", "-o", "name").split()
    return [kind for kind in every if kind != "secrets"]


def test_the_life_was_one(life: Life):
    """What is scanned is there: else nothing would be found in it."""
    assert len(life.secrets) > 10
    for where in ("hub: gpuclaims.sublet.dev", "hub: gpuleases.sublet.dev", "hub: events.events.k8s.io", "west: nodes", "west: namespaces"):  # fmt: skip
        assert '"metadata"' in life.places[where], where
    assert sum(where.startswith("record") for where in life.places) > 3
    assert "sublet_" in life.places["metrics"]
    assert '"event"' in life.places["log"]


def test_no_secret_is_written_anywhere(life: Life):
    found = {
        where
        for where, text in life.places.items()
        for each in life.secrets
        if each in text or json.dumps(each)[1:-1] in text
    }

    assert found == set()


def test_a_refused_credential_is_named_by_its_field_and_never_by_its_content(life: Life):
    said = condition(json.loads(life.places["hub: gpuleases.sublet.dev"])["items"][0], "CredentialsValid", "message")  # fmt: skip

    assert "exec" in str(said)
    assert "it would run a program" in str(said)


def test_a_tenant_reaches_no_landlords_name_contract_or_price_and_no_neighbours(life: Life):
    """All that the rights on acme's namespace show on the hub, and the claim's own namespace in the leased cluster."""
    reach = {
        where: _of_acme(text)
        for where, text in life.places.items()
        if where.startswith(("hub: ", "west: "))
    }
    reach["classes"] = life.places["hub: gpuclasses.sublet.dev"]
    hidden = ("landlord-of-", "C-west", "globex", *life.names)

    found = {(where, word) for where, text in reach.items() for word in hidden if word in text}

    assert found == set()
    assert [where for where, text in reach.items() if _prices(text, "2.35")] == []


def _of_acme(text: str) -> str:
    """Return what of a list is in acme's namespaces."""
    try:
        items = json.loads(text)["items"]
    except (ValueError, KeyError):
        return ""
    mine = [x for x in items if x["metadata"].get("namespace") == ACME]
    homes = [x for x in items if str(x["metadata"].get("namespace", "")).startswith("sublet-")]
    uids = {x["metadata"]["uid"] for x in mine}
    own = [x for x in homes if any(uid in x["metadata"]["namespace"] for uid in uids)]
    return json.dumps([*mine, *own])


def test_a_redacted_record_names_nobody(life: Life):
    redacted = "".join(t for w, t in life.places.items() if w.startswith("redacted"))
    words = ("landlord-of-", "C-west", "acme", "globex", *life.names)

    assert [word for word in words if word in redacted] == []
    assert _prices(redacted, "2.35", "3.99") == []


def _prices(text: str, *prices: str) -> list[str]:
    """Return which prices stand in a text; other numbers may have their digits, as an instant of any module's Event has."""
    either = "|".join(map(re.escape, prices))
    return re.findall(rf"(?<![\d.])(?:{either})(?!\d)", text)
