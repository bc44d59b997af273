"""Two tenants with bound claims, as an attacker and its victim: real credentials, and requests with them."""

import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sublet.fleet.kubeconfig import parse_kubeconfig
from sublet.kube.errors import ApiError
from sublet.kube.session import ApiServer, Endpoint
from tests.harness.process import OperatorProcess
from tests.harness.stack import Stack
from tests.harness.tenants import write_access
from tests.harness.waiting import wait_for

ACME, GLOBEX = "acme", "globex"
Object = dict[str, Any]


@dataclass(frozen=True)
class Tenancy:
    """A running operator with a claim of acme's in a strict cluster, one in a loose one, and a neighbour's."""

    stack: Stack
    operator: OperatorProcess
    claims: Mapping[str, Object]
    """name -> claim, bound: `work` on west, `wide` on east, globex's `theirs` on west"""

    def uid(self, name: str) -> str:
        """Return a claim's UID."""
        return str(self.claims[name]["metadata"]["uid"])

    def home(self, name: str) -> str:
        """Return the namespace of a claim in its leased cluster."""
        return str(self.claims[name]["status"]["access"]["clusters"][0]["namespace"])

    def plane(self, name: str) -> str:
        """Return the leased cluster that a claim is in."""
        return str(self.claims[name]["status"]["access"]["clusters"][0]["alias"])

    def nodes(self, name: str) -> set[str]:
        """Return the nodes of a claim."""
        return {p["node"] for p in self.claims[name]["status"]["allocation"]["placements"]}

    def access(self, name: str) -> Path:
        """Return the kubeconfig that was handed over for a claim, as it is now."""
        path = self.stack.folder / f"{name}.kubeconfig"
        return write_access(self.stack, self.claims[name], path)

    @asynccontextmanager
    async def tenant(self, name: str) -> AsyncIterator["Caller"]:
        """Speak to the leased cluster of a claim with the tenant's own credential."""
        config = self.access(name).read_bytes()
        async with ApiServer(parse_kubeconfig(config, allow_local=True, hub_servers=())) as api:
            yield Caller(api)

    @asynccontextmanager
    async def hub_user(self, namespace: str = ACME) -> AsyncIterator["Caller"]:
        """Speak to the hub as somebody who may edit one namespace and nothing else."""
        token = self.stack.kubectl("hub", "-n", namespace, "create", "token", "editor").strip()
        async with ApiServer(hub_as(self.stack, token)) as api:
            yield Caller(api)


class Caller:
    """Sends requests and returns what the server says of them."""

    def __init__(self, api: ApiServer) -> None:
        self.api = api

    async def asks(
        self, method: str, path: str, body: Any = None, *, kind: str = "", dry: bool = False
    ) -> str:
        """Return the server's words of refusal, or `accepted`; `kind` is merge or json for a patch."""
        try:
            await self.api.request(
                method,
                path,
                params={"dryRun": "All"} if dry else None,
                content_type=f"application/{kind}-patch+json" if kind else "application/json",
                body=json.dumps(body).encode() if body is not None else None,
            )
        except ApiError as error:
            return f"{error.status} {error.message}"
        return "accepted"

    async def creates(self, path: str, body: Object, *, dry: bool = False) -> str:
        """Try to make an object."""
        return await self.asks("POST", path, body, dry=dry)

    async def merges(self, path: str, body: Object) -> str:
        """Try a merge patch."""
        return await self.asks("PATCH", path, body, kind="merge")


def hub_as(stack: Stack, token: str) -> Endpoint:
    """Return the hub's endpoint for somebody's token."""
    cluster = yaml.safe_load(stack.running.kubeconfig("hub").read_text())["clusters"][0]["cluster"]
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    return Endpoint(cluster["server"], ca_pem=authority, token=lambda: token)


def plain_pod(name: str, *, gpus: int = 1) -> Object:
    """Return a tenant's plain pod, which names nothing of Sublet."""
    limits = {"nvidia.com/gpu": str(gpus)} if gpus else {}
    container = {"name": "main", "image": "train:1", "resources": {"limits": limits}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [container]},
    }


def labels(number: int, first: int = 0) -> Object:
    """Return labels that take some 400 bytes each, without what the server notes of who wrote them."""
    key = f"{'p' * 240}.io/{'k' * 50}"
    return {"metadata": {"labels": {f"{key}{i:05}": "v" * 63 for i in range(first, first + number)}}}  # fmt: skip


def runs(tenancy: Tenancy, name: str) -> None:
    """Let the tenant's plain pod run on a node of its own claim, and take it away again."""
    config, own = tenancy.access(name), tenancy.nodes(name)
    text = yaml.safe_dump(plain_pod("control"))
    kubectl = tenancy.stack.kubectl_with
    kubectl(config, "create", "-f", "-", given=text)
    look = ("get", "pod", "control", "-o", "jsonpath={.status.phase} {.spec.nodeName}")
    said = wait_for("runs", lambda: (s := kubectl(config, *look)).startswith("Running") and s)
    assert str(said).split()[1] in own
    kubectl(config, "delete", "pod", "control", "--grace-period=0", "--force")
