"""A hub and two leased clusters, installed as a platform team would: CRDs, rights, policies, onboarding."""

import asyncio
import base64
import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from sublet.cli.onboarding.apply import apply_all, path_of
from sublet.cli.onboarding.credential import hub_secret, kubeconfig, take_token
from sublet.fleet import isolation
from sublet.kube.hub import hub_endpoint
from sublet.kube.session import ApiServer
from sublet.manifests.render import HubOptions, LeasedOptions, hub as hub_manifests, leased_cluster
from tests.builders.api import claim, gpu_class, lease, tenant
from tests.harness.admin import Admin, parse_get
from tests.harness.waiting import wait_for
from tests.planes import planes
from tests.planes.binaries import ROOT, find
from tests.planes.plane import MEMORY

NAMESPACE = "sublet-system"
ONBOARDED = LeasedOptions(role_resources=("kubeflow.org/pytorchjobs",))
"""What leased clusters let leases sell."""


@dataclass(frozen=True)
class Stack:
    """Running planes and the credentials in them."""

    running: planes.RunningSet
    _admins: dict[str, Admin] = field(default_factory=dict, repr=False, compare=False)
    _endings: list[Callable[[], None]] = field(default_factory=list, repr=False, compare=False)

    @property
    def folder(self) -> Path:
        """Return the folder of the set."""
        return self.running.folder

    def kubectl(
        self, plane: str, *arguments: str, given: str | None = None, check: bool = True
    ) -> str:
        """Run kubectl as a plane's admin; returns what it prints."""
        return self.kubectl_with(
            self.running.kubeconfig(plane), *arguments, given=given, check=check
        )

    def kubectl_with(
        self, config: Path, *arguments: str, given: str | None = None, check: bool = True
    ) -> str:
        """Run kubectl with a kubeconfig; AssertionError with its words if it fails and `check`."""
        done = subprocess.run(
            [str(find("kubectl")), "--kubeconfig", str(config), *arguments],
            input=given, capture_output=True, text=True, check=False,
        )  # fmt: skip
        name = self.running.folder.name
        ended = "" if planes.running(name) else planes.last_words(name)
        assert done.returncode == 0 or not check, (
            f"kubectl {' '.join(arguments)}: {done.stderr}{ended}"
        )
        return done.stdout + done.stderr

    def apply(self, plane: str, *objects: dict[str, Any]) -> None:
        """Apply objects as a plane's admin, on the server's side and by force."""
        for each in objects:
            self.admin(plane).apply(each)

    def admin(self, plane: str) -> Admin:
        """Return a plane's admin: what is asked often is asked without a kubectl."""
        if plane not in self._admins:
            self._admins[plane] = Admin(self.running.kubeconfig(plane))
        return self._admins[plane]

    def get(self, plane: str, *arguments: str) -> Any:
        """Return what `kubectl get … -o json` shows, None if it isn't there."""
        if (asked := parse_get(arguments)) is not None:
            return self.admin(plane).get(asked)
        text = self.kubectl(plane, "get", *arguments, "-o", "json", "--ignore-not-found")
        return json.loads(text) if text.strip() else None

    def claim(self, namespace: str, name: str) -> dict[str, Any] | None:
        """Return a claim."""
        found: dict[str, Any] | None = self.get("hub", "gpuclaim", "-n", namespace, name)
        return found

    def is_bound(self, namespace: str, name: str) -> dict[str, Any] | None:
        """Return a claim if it is Bound."""
        found = self.claim(namespace, name)
        return found if found and condition(found, "Bound") == "True" else None

    def books(self, plane: str) -> dict[str, str]:
        """Return each node's own book."""
        nodes = self.get(plane, "nodes")["items"]
        return {
            n["metadata"]["name"]: n["metadata"]
            .get("annotations", {})
            .get("sublet.dev/allocation", "-")
            for n in nodes
        }

    def claim_namespaces(self, plane: str) -> list[str]:
        """Return the claim namespaces of a leased cluster that aren't going away, without the probe's."""
        found = self.get(plane, "namespaces", "-l", "sublet.dev/claim")["items"]
        names = [n["metadata"]["name"] for n in found if not n["metadata"].get("deletionTimestamp")]
        return [n for n in names if not n.startswith("sublet-00000000-")]

    def at_stop(self, end: Callable[[], None]) -> None:
        """Have something ended before the planes are: an operator that would outlive them."""
        self._endings.append(end)

    def leave(self) -> None:
        """End what was started on the planes."""
        for end in reversed(self._endings):
            end()
        self._endings.clear()
        for admin in self._admins.values():
            admin.close()

    def stop(self) -> None:
        """End what was started on the planes, and the planes."""
        self.leave()
        planes.stop(self.running.folder.name)


def start_stack(
    name: str,
    *,
    leased: tuple[str, ...] = ("west", "east"),
    hub_nodes: bool = False,
    audited: str = "",
    options: LeasedOptions = ONBOARDED,
    durable: bool = False,
    memory: str = MEMORY,
) -> Stack:
    """Start planes and install everything on them; with `hub_nodes` the hub can be leased too.

    `memory` is what each program's heap may grow to before it collects more often. With `durable` their etcd syncs to disk. Requests of `audited` users, joined by commas, are in each plane's audit.log.
    """
    hub = "hub+nodes" if hub_nodes else "hub"
    stack = Stack(
        planes.start(
            name, [hub, *leased], keep=False, durable=durable, audited=audited, memory=memory
        )
    )
    install(stack, leased, options)
    return stack


def install(stack: Stack, leased: tuple[str, ...], options: LeasedOptions = ONBOARDED) -> None:
    """Install Sublet on planes where nothing of it is, and wait until it acts."""
    crds = [yaml.safe_load(p.read_text()) for p in sorted((ROOT / "crds").glob("*.yaml"))]
    stack.apply("hub", *crds)
    asyncio.run(_prepare(stack, leased, options))
    token = stack.kubectl(
        "hub", "-n", NAMESPACE, "create", "token", "sublet", "--duration=24h"
    ).strip()
    write_operator_kubeconfig(stack, token)
    wait_for("the kinds are established", lambda: _established(stack) >= len(crds))
    wait_until_served(stack)


def _established(stack: Stack) -> int:
    """Return how many kinds are; of one that has no conditions yet, `kubectl wait` says an error instead of waiting."""
    wait = ("wait", "--for=condition=Established", "crd", "--all", "--timeout=90s")
    return stack.kubectl("hub", *wait, check=False).count("condition met")


def wait_until_served(stack: Stack) -> None:
    """Wait until the hub serves our kinds."""
    wait_for("the hub serves the kinds", lambda: _serves_kinds(stack))


def _serves_kinds(stack: Stack) -> bool:
    """Say whether the kinds are served with the mutating policies on: one that has no schema yet makes a kind away."""
    kinds = [claim(namespace="default"), lease(), gpu_class(), tenant()]
    create = ("create", "--dry-run=server", "-o", "yaml", "-f", "-")
    made = stack.kubectl("hub", *create, given=yaml.safe_dump_all(kinds), check=False)
    stamped = made.count("sublet.dev/requested-by: admin") == len(kinds)
    return stamped and "sublet.dev/release" in made


def operator_kubeconfig(stack: Stack) -> Path:
    """Return the kubeconfig of the operator's own identity on the hub."""
    return stack.folder / "operator.kubeconfig"


def leased_kubeconfig(stack: Stack, name: str) -> Path:
    """Write the operator's kubeconfig for a leased cluster, as the hub holds it, and return its path."""
    secret = stack.get("hub", "secret", "-n", NAMESPACE, name)
    path = stack.folder / f"{name}.operator.kubeconfig"
    path.write_bytes(base64.b64decode(secret["data"]["kubeconfig"]))
    return path


async def _prepare(stack: Stack, leased: tuple[str, ...], options: LeasedOptions) -> None:
    async with ApiServer(
        await hub_endpoint(kubeconfig=str(stack.running.kubeconfig("hub")))
    ) as hub:
        await apply_all(hub, hub_manifests(HubOptions()))
        for name in leased:
            endpoint = await hub_endpoint(kubeconfig=str(stack.running.kubeconfig(name)))
            async with ApiServer(endpoint) as api:
                await apply_all(api, leased_cluster(options))
                token = await take_token(api, NAMESPACE, rotate=False)
                secret = hub_secret(name, NAMESPACE, kubeconfig(api, token))
                await hub.apply(path_of(secret), secret)
                await prove_isolation(api, token)


async def prove_isolation(api: ApiServer, token: str) -> None:
    """Wait until a leased cluster's policies act, seen as the operator sees them; AssertionError says what is wrong."""
    async with api.with_token(token) as operator:
        deadline = time.monotonic() + 15
        while fault := (await isolation.prove_isolation(operator)).fault:
            assert time.monotonic() < deadline, fault
            await asyncio.sleep(0.2)


async def loosen(api: ApiServer) -> None:
    """Make the belt policy let everything pass, its digest with it: the lock alone must hold then."""
    path = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/sublet-node-invariants"
    binding = await api.get(path)
    loose = {
        "apiVersion": binding["apiVersion"],
        "kind": binding["kind"],
        "metadata": {"name": "sublet-node-invariants"},
        "spec": {"policyName": "sublet-node-invariants", "validationActions": ["Audit"]},
    }
    await apply_all(api, [loose])


def write_operator_kubeconfig(stack: Stack, token: str) -> None:
    """Write the kubeconfig of the operator's own identity on the hub."""
    config = yaml.safe_load(stack.running.kubeconfig("hub").read_text())
    config["users"][0]["user"] = {"token": token}
    operator_kubeconfig(stack).write_text(yaml.safe_dump(config))


def person_kubeconfig(stack: Stack, *names: str) -> Path:
    """Write a kubeconfig with a context of each plane's admin, the first of them current, and return its path."""
    whole: dict[str, Any] = {"apiVersion": "v1", "kind": "Config", "current-context": names[0]}
    for name in names:
        config = yaml.safe_load(stack.running.kubeconfig(name).read_text())
        for section in ("clusters", "users", "contexts"):
            whole[section] = [*whole.get(section, []), *config[section]]
    path = stack.folder / "person.kubeconfig"
    path.write_text(yaml.safe_dump(whole))
    return path


def condition(obj: dict[str, Any], type_: str, field: str = "status") -> str | None:
    """Return a condition's field, None if it isn't set."""
    found = [c for c in obj.get("status", {}).get("conditions", []) if c["type"] == type_]
    return str(found[0].get(field)) if found else None
