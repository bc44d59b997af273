"""A set of planes with proxies in front, its operators, and what a test's own hand does on them.

One world serves many plans: the operator lives on between them unless a plan killed it, objects are told apart by the number
of the run in their names, and `reset` brings everything back to an empty pool of four nodes.
"""

import asyncio
import base64
import time
from typing import Final

import yaml

from sublet.api.kinds import CLAIMS, CLASSES, TENANTS
from sublet.kube.hub import hub_endpoint
from sublet.kube.session import ApiServer
from tests.builders.api import gpu_class, tenant
from tests.faults.hand import ACME, LEASED, NODES, Hand
from tests.faults.journal import Journal
from tests.faults.operators import Operators
from tests.faults.proxy import Proxy
from tests.faults.trouble import Trouble
from tests.harness.stack import NAMESPACE as SYSTEM, Stack, operator_kubeconfig
from tests.planes.certificates import write_certificates
from tests.planes.plane import STORE

PLANES: Final = ("hub", "west", "east")
QUIET_SECONDS: Final = 0.4
"""So long without a write counts as the end."""


class World(Hand):
    """One set of planes under faults."""

    def __init__(self, stack: Stack) -> None:
        super().__init__()
        self.stack = stack
        self.journal = Journal()
        self.trouble = Trouble()
        self.operators = Operators(stack)
        self.proxies: dict[str, Proxy] = {}
        self.writing = asyncio.Lock()
        self.veterans: frozenset[int] = frozenset()
        """Operators (pids) that ran when the plan began."""

    async def open(self) -> None:
        """Put proxies in front of the planes, make leases, class and tenant, and start an operator."""
        certificates = self.stack.folder / "proxy"
        certificates.mkdir()
        write_certificates(certificates)
        for plane in PLANES:
            config = self.stack.running.kubeconfig(plane)
            self.api[plane] = ApiServer(await hub_endpoint(kubeconfig=str(config)))
            self.proxies[plane] = Proxy(
                plane, self.api[plane].endpoint.server, self.stack.running.folder / plane / "ca.crt",
                journal=self.journal, trouble=self.trouble, pids=self.operators.pids, writing=self.writing,
            )  # fmt: skip
            await self.proxies[plane].start(certificates)
        path = operator_kubeconfig(self.stack)
        path.write_text(self._through_proxy("hub", path.read_text()))
        for plane in LEASED:
            await self.write_credential(plane)
        await self._make_pool()
        await self.operators.open()
        await self.wait("the pool is for sale", self.is_idle)
        self.seen.clear()  # the pool is of no run, and so its nodes have no name in any

    async def close(self) -> None:
        """Stop operators and proxies; the planes are the caller's."""
        self.trouble.on_commit = None
        self.operators.close()
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
            await self.make_lease(plane, plane, committed=8 * NODES)
        await hub.create(
            CLASSES.path(), gpu_class(hostShare={"cpuPerGpu": 8, "memoryMiBPerGpu": 65_536})
        )
        await hub.create(TENANTS.path(), tenant())

    async def quiet(self, seconds: float = QUIET_SECONDS, since: float = 0.0) -> None:
        """Wait until nothing was written for a while by an operator that runs, or since an instant that is so long ago."""

        async def look() -> bool:
            return self.is_quiet(seconds, since)

        await self.wait("no more writes", look)

    def is_quiet(self, seconds: float = QUIET_SECONDS, since: float = 0.0) -> bool:
        """Say whether an operator runs and nothing was written for a while, nor since an instant that is so long ago."""
        last = max((e.at_seconds for e in self.journal.writes), default=0.0)
        last = max(last, since)
        return bool(self.operators.pids()) and time.monotonic() - last > seconds

    def begin(self) -> None:
        """Begin a plan: what was asked and shown before isn't of it."""
        self.journal.forget()
        self.trouble.forget()
        self.veterans = frozenset(self.operators.pids())

    def stands(self, pid: int) -> bool:
        """Say whether an operator has made up its mind about both clusters: it proves their isolation last."""
        proven = {
            e.cluster for e in self.journal if e.pid == pid and e.is_dry_run and e.status == 403
        }
        return pid in self.veterans or proven >= {*LEASED}

    def all_stand(self) -> bool:
        """Say whether every operator that runs has made up its mind; before that it may yet say what it doesn't know."""
        pids = self.operators.pids()
        return bool(pids) and all(map(self.stands, pids))

    async def reset(self) -> None:
        """Bring everything back to the empty pool: nothing of a plan is left for the next one."""
        self.trouble.disarm()
        for view in self.trouble.views.values():
            view.doubled = view.replayed = False
            view.gone_opens = 0
            await view.thaw(coalesce=False)
        were_two = self.operators.only_first()
        for each in await self.items("hub", CLAIMS.path(ACME)):
            await self.delete("hub", CLAIMS.path(ACME, each["metadata"]["name"]))
        await self.wait("the pool is empty again", self.is_idle)
        if were_two:
            # what the other has ended, this one may still be ending too: the next plan would take it for its own
            await self.operators.restart()
        self.seen.clear()
        self.run += 1

    def etcd(self, plane: str) -> str:
        """Return the URL of a plane's etcd."""
        return (self.stack.running.folder / plane / STORE).read_text()

    @property
    def database(self) -> str:
        """Return the path of the ledger."""
        return str(self.stack.folder / "ledger.sqlite")
