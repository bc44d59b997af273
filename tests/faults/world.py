"""A set of planes with proxies in front, its operators, and what a test's own hand does on them.

One world serves many plans: the operator lives on between them unless a plan killed it, objects are told apart by the number
of the run in their names, and `reset` brings everything back to an empty pool of four nodes.
"""

import asyncio
import base64
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any, Final, TypeVar

import yaml

from sublet.api.kinds import CLAIMS, CLASSES, LEASES
from sublet.api.times import Millis, format_instant
from sublet.kube.errors import Conflict, KubeError, NotFound
from sublet.kube.hub import hub_endpoint
from sublet.kube.session import ApiServer
from tests.builders.api import claim, gpu_class, lease, tenant
from tests.builders.nodes import gpu_node
from tests.faults.journal import Journal
from tests.faults.proxy import Proxy
from tests.faults.trouble import Trouble
from tests.harness.process import OperatorProcess
from tests.harness.stack import NAMESPACE as SYSTEM, Stack, condition, operator_kubeconfig
from tests.planes.certificates import write_certificates

T = TypeVar("T")

ACME: Final = "acme"
PLANES: Final = ("hub", "west", "east")
LEASED: Final = ("west", "east")
NODES: Final = 2
"""Of each leased cluster."""
SETTLE_SECONDS: Final = 45.0
QUIET_SECONDS: Final = 0.4
"""So long without a write counts as the end."""
Object = dict[str, Any]


class NotSettled(Exception):
    """The end wasn't reached in time."""


class World:
    """One set of planes under faults."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.journal = Journal()
        self.trouble = Trouble()
        self.run = 0
        self.operators: list[OperatorProcess] = []
        self.seen: dict[str, str] = {}  # UID -> name without the run, of whatever was made here
        self.proxies: dict[str, Proxy] = {}
        self.api: dict[str, ApiServer] = {}  # plane -> as its admin
        self.writing = asyncio.Lock()
        self.keep_alive = True
        """Whether an operator that ended is started again."""
        self._keeper: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Put proxies in front of the planes, make leases, class and tenant, and start an operator."""
        certificates = self.stack.folder / "proxy"
        certificates.mkdir()
        write_certificates(certificates)
        for plane in PLANES:
            config = self.stack.running.kubeconfig(plane)
            self.api[plane] = ApiServer(await hub_endpoint(kubeconfig=str(config)))
            self.proxies[plane] = Proxy(
                plane, self.api[plane].endpoint.server, self.stack.folder / plane / "ca.crt",
                journal=self.journal, trouble=self.trouble, pids=self.pids, writing=self.writing,
            )  # fmt: skip
            await self.proxies[plane].start(certificates)
        path = operator_kubeconfig(self.stack)
        path.write_text(self._through_proxy("hub", path.read_text()))
        for plane in LEASED:
            await self.write_credential(plane)
        await self._make_pool()
        await self.start_operator()
        self._keeper = asyncio.create_task(self._keep())
        await self.wait("the pool is for sale", self.is_idle)

    async def close(self) -> None:
        """Stop operators and proxies; the planes are the caller's."""
        if self._keeper is not None:
            self._keeper.cancel()
        for operator in self.operators:
            operator.kill()
        for proxy in self.proxies.values():
            await proxy.close()
        for api in self.api.values():
            await api.close()

    async def write_credential(self, plane: str, token: str | None = None) -> None:
        """Let the hub's Secret of a leased cluster lead through the proxy, with another token if one is given."""
        path = f"/api/v1/namespaces/{SYSTEM}/secrets/{plane}"
        secret = await self.api["hub"].get(path)
        key = next(iter(secret["data"]))
        text = base64.b64decode(secret["data"][key]).decode()
        config = yaml.safe_load(self._through_proxy(plane, text))
        if token is not None:
            config["users"][0]["user"]["token"] = token
        secret["data"][key] = base64.b64encode(yaml.safe_dump(config).encode()).decode()
        await self.api["hub"].replace(path, secret)

    def _through_proxy(self, plane: str, text: str) -> str:
        config = yaml.safe_load(text)
        ca = (self.stack.folder / "proxy" / "ca.crt").read_bytes()
        config["clusters"][0]["cluster"] = {
            "server": f"https://127.0.0.1:{self.proxies[plane].port}",
            "certificate-authority-data": base64.b64encode(ca).decode(),
        }
        return str(yaml.safe_dump(config))

    async def _make_pool(self) -> None:
        hub = self.api["hub"]
        meta = {"name": ACME}
        await hub.create(
            "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": meta}
        )
        for plane in LEASED:
            for number in range(NODES):
                await self.make_node(plane, f"{plane[0]}-{number}")
            await hub.create(
                LEASES.path(), lease(plane, committed=8 * NODES, nodeSelector={"pool": plane})
            )
        await hub.create(
            CLASSES.path(), gpu_class(hostShare={"cpuPerGpu": 8, "memoryMiBPerGpu": 65_536})
        )
        await hub.create("/apis/sublet.dev/v1alpha1/gputenants", tenant())

    # operators

    def pids(self) -> list[int]:
        """Return the operators that run."""
        return [o.pid for o in self.operators if not o.ended]

    async def start_operator(self, name: str = "operator", **settings: str) -> OperatorProcess:
        """Start an operator on the set's one ledger."""
        operator = OperatorProcess(
            self.stack, name, SUBLET_LEADER_ELECTION="false",
            SUBLET_DATABASE_URL=f"sqlite:///{self.stack.folder}/ledger.sqlite", **settings,
        )  # fmt: skip
        self.operators.append(operator)
        await asyncio.to_thread(operator.start)
        return operator

    async def _keep(self) -> None:
        """Start the operator again when it has been killed, as a Deployment does."""
        while True:
            await asyncio.sleep(0.02)
            if self.keep_alive and self.operators and self.operators[0].ended:
                with suppress(AssertionError):  # killed again while it started
                    await asyncio.to_thread(self.operators[0].start)

    @property
    def database(self) -> str:
        """Return the path of the ledger."""
        return str(self.stack.folder / "ledger.sqlite")

    # what a person or a landlord does

    def name(self, base: str) -> str:
        """Return an object's name in this run."""
        return f"{base}-x{self.run}"

    async def make_claim(self, base: str, *, on: Iterable[str] = (), **spec: Any) -> Object:
        """Create a claim, on these leases alone if any are named."""
        placement = {"placement": {"leases": {"allow": list(on)}}} if on else {}
        body = claim(self.name(base), ACME, **placement, **spec)
        made = await self.api["hub"].create(CLAIMS.path(ACME), body)
        self.seen[made["metadata"]["uid"]] = base
        return made

    async def claim(self, base: str) -> Object | None:
        """Return a claim of this run, None if it is gone."""
        return await self.get("hub", CLAIMS.path(ACME, self.name(base)))

    async def delete_claim(self, base: str) -> None:
        """Ask for a claim's deletion."""
        await self.delete("hub", CLAIMS.path(ACME, self.name(base)))

    async def make_node(self, plane: str, name: str, pool: str = "") -> Object:
        """Create a node of a pool."""
        node = gpu_node(name, labels={"pool": pool or plane})
        made = await self.api[plane].create("/api/v1/nodes", node)
        self.seen[made["metadata"]["uid"]] = "node"
        return made

    async def cordon(self, plane: str, name: str, *, cordoned: bool) -> None:
        """Cordon a node or take that back, and wait until its lease counts it so."""
        value = {"op": "add", "path": "/spec/unschedulable", "value": cordoned}
        await self.change(plane, f"/api/v1/nodes/{name}", value)
        free = 8 * (NODES - 1) if cordoned else 8 * NODES

        async def look() -> bool:
            found = await self.get("hub", LEASES.path("", plane)) or {}
            return bool(found.get("status", {}).get("inventory", {}).get("free") == free)

        if cordoned:
            await self.wait(f"{plane} has {free} free", look)

    async def delete(self, plane: str, path: str) -> None:
        """Delete an object, if it is there."""
        with suppress(NotFound):
            await self.api[plane].delete(path)

    @staticmethod
    def instant(seconds: float) -> str:
        """Return an instant so many seconds from now, as the API has it."""
        return format_instant(Millis(int((time.time() + seconds) * 1_000)))

    async def change(self, plane: str, path: str, *operations: Object) -> Object:
        """Send a JSON patch, again if it is outrun."""
        for _ in range(20):
            try:
                return await self.api[plane].patch(path, list(operations))
            except Conflict:
                continue
        raise NotSettled(f"{path} changes too fast")

    async def get(self, plane: str, path: str) -> Object | None:
        """Read an object as the plane's admin, None if it isn't there."""
        try:
            return await self.api[plane].get(path)
        except NotFound:
            return None

    async def items(self, plane: str, path: str, **params: str) -> list[Object]:
        """List as the plane's admin."""
        found: list[Object] = (await self.api[plane].get(path, **params))["items"]
        return found

    # waiting

    async def wait(
        self, what: str, look: Callable[[], Awaitable[T | None]], *, seconds: float = SETTLE_SECONDS
    ) -> T:
        """Return the first truthy thing that `look` gives; NotSettled with `what` after the deadline."""
        deadline = time.monotonic() + seconds
        while True:
            if found := await look():
                return found
            if time.monotonic() > deadline:
                raise NotSettled(f"not within {seconds:.0f} s: {what}")
            await asyncio.sleep(0.03)

    async def bound(self, base: str) -> Object:
        """Wait until a claim is Bound."""

        async def look() -> Object | None:
            found = await self.claim(base)
            return found if found and condition(found, "Bound") == "True" else None

        return await self.wait(f"{base} bound", look)

    async def gone(self, base: str, uid: str = "") -> None:
        """Wait until a claim is gone (or another by UID)."""

        async def look() -> bool:
            found = await self.claim(base)
            return found is None or (bool(uid) and found["metadata"]["uid"] != uid)

        await self.wait(f"{base} gone", look)

    async def says(self, base: str, type_: str, status: str = "True", reason: str = "") -> Object:
        """Wait until a claim's condition has a status, and a reason if one is given."""

        async def look() -> Object | None:
            found = await self.claim(base) or {}
            same = condition(found, type_) == status
            return found if same and reason in ("", condition(found, type_, "reason")) else None

        return await self.wait(f"{base}: {type_} is {status} {reason}", look)

    async def lease_says(self, lease: str, type_: str, status: str) -> None:
        """Wait until a lease's condition has a status."""

        async def look() -> bool:
            found = await self.get("hub", LEASES.path("", lease)) or {}
            return condition(found, type_) == status

        await self.wait(f"lease {lease}: {type_} is {status}", look)

    async def quiet(self, seconds: float = QUIET_SECONDS) -> None:
        """Wait until nothing was written for a while by an operator that runs."""

        async def look() -> bool:
            last = max((e.at_seconds for e in self.journal.writes), default=0.0)
            return bool(self.pids()) and time.monotonic() - last > seconds

        await self.wait("no more writes", look)

    async def is_idle(self) -> bool:
        """Say whether the pool is empty and all of it for sale."""
        for name in LEASED:
            found = await self.get("hub", LEASES.path("", name)) or {}
            counts = found.get("status", {}).get("inventory", {})
            if counts.get("free") != 8 * NODES or condition(found, "Ready") != "True":
                return False
        return not await self.items("hub", CLAIMS.path(ACME))

    async def reset(self) -> None:
        """Bring everything back to the empty pool: nothing of a plan is left for the next one."""
        self.trouble.disarm()
        for view in self.trouble.views.values():
            view.doubled = view.replayed = False
            view.gone_opens = 0
            await view.thaw(coalesce=False)
        for operator in self.operators[1:]:
            operator.kill()
        del self.operators[1:]
        for each in await self.items("hub", CLAIMS.path(ACME)):
            await self.delete("hub", CLAIMS.path(ACME, each["metadata"]["name"]))
        await self.wait("the pool is empty again", self.is_idle)
        self.seen.clear()
        self.run += 1

    async def claims(self) -> list[Object]:
        """Return the claims of this run."""
        found = await self.items("hub", CLAIMS.path(ACME))
        return [c for c in found if self.is_ours(c["metadata"]["name"])]

    async def revision(self, plane: str, resource: str) -> int:
        """Return the revision of a collection now."""
        root = "/api/v1" if resource in ("nodes", "secrets") else "/apis/sublet.dev/v1alpha1"
        found = await self.api[plane].get(f"{root}/{resource}", limit="1")
        return int(found["metadata"]["resourceVersion"])

    async def restart(self) -> None:
        """Kill the operator; it is started again."""
        before = self.operators[0].pid
        self.operators[0].kill()

        async def look() -> bool:
            return not self.operators[0].ended and self.operators[0].pid != before

        await self.wait("another operator runs", look)

    def is_ours(self, name: str) -> bool:
        """Say whether an object's name is of this run."""
        return name.endswith(f"-x{self.run}")


__all__ = ["ACME", "LEASED", "PLANES", "KubeError", "NotSettled", "World"]
