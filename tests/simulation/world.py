"""The world of one history: servers, network, ledger, operators, and what is noted of it."""

import asyncio
import base64
import random
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from sublet.cli.onboarding.credential import hub_secret, kubeconfig
from sublet.fleet.isolation import MUTATING, PROBE_NAMESPACE, VALIDATING, notes_of
from sublet.kube.session import ApiServer, Endpoint
from tests.builders.api import gpu_class, lease, tenant
from tests.builders.nodes import gpu_node
from tests.builders.pem import certificate_and_key
from tests.simulation.answers import Refused, Request, User, encode
from tests.simulation.clock import EPOCH, SimClock
from tests.simulation.controllers import Controllers
from tests.simulation.ledger import Database
from tests.simulation.loop import SimLoop
from tests.simulation.network import Link, Network
from tests.simulation.operators import HUB, NAMESPACE, Replica
from tests.simulation.plan import Plan
from tests.simulation.server import Server
from tests.simulation.store import Key, Object

MOST_NODES: Final = 5
"""Of one cluster."""
LEASES: Final = ("west", "east")
TENANTS: Final = ("acme", "globex")


class World:
    """All there is in one history."""

    def __init__(self, plan: Plan, loop: SimLoop) -> None:
        self.plan = plan
        self.rng = random.Random(f"world {plan.seed}")
        self.loop = loop
        self.faults: Counter[str] = Counter()
        self.network = Network()
        self.database = Database(self.rng, self.faults, self.network.dead)
        self.skews_ms: Counter[str] = Counter()
        """server -> by how much its clock is ahead"""
        self.hub = self._server("hub")
        self.leased = {name: self._server(name) for name in LEASES[: len(plan.nodes)]}
        self.servers = {"hub": self.hub, **self.leased}
        self.controllers = [Controllers(s, loop, self.rng) for s in self.servers.values()]
        self.faults_are_on = False
        self.violations: list[str] = []
        self.over = asyncio.Event()
        """Set at the first violation: what comes after it says nothing."""
        self.trace = self.network.trace
        self.remade = False
        """A node was made anew under the name of one that was lost."""
        self.rewound = False
        """A leased cluster was restored from a backup: what was there once may have to be made again."""
        self.is_hub_older = False
        """The hub was restored from a backup: what it says of claims is less than what clusters and ledger have."""
        self.writes = 0
        self.last_write_at = 0.0
        """Of an operator, and of more than its Lease."""
        self.replicas = [self._replica(name) for name in "ab"[: plan.replicas]]
        for server in self.servers.values():
            _found(server)
        for index, server in enumerate(self.leased.values()):
            server.belt = plan.belt
            self._furnish(server, plan.nodes[index], plan.sharing[index])
        self._found_hub()

    @property
    def links(self) -> Iterator[Link]:
        """Yield all links."""
        yield from self.network.links.values()

    def now_ms(self) -> int:
        """Return the true time of day."""
        return EPOCH + int(self.loop.time() * 1000)

    def note(self, text: str) -> None:
        """Write a line into the trace."""
        self.trace.append(f"{self.loop.time():9.3f} {text}")

    def violate(self, text: str) -> None:
        """Note that something happened that must never happen."""
        line = f"{self.loop.time():9.3f} VIOLATION {text}"
        self.trace.append(line)
        self.violations.append(text)
        self.over.set()

    def admin(self, server: Server, method: str, path: str, body: Any = None) -> bool:
        """Do something as a person with all rights; return whether it was accepted."""
        kind = "application/json" if method != "PATCH" else "application/json-patch+json"
        request = Request(method, path, content_type=kind, body=encode(body or {}), actor="person")
        try:
            server.handle(request, "admin")
        except Refused as refused:
            self.note(f"{method} {path} refused: {refused}")
            return False
        return True

    def add_node(self, server: Server, name: str) -> None:
        """Let a node join a cluster."""
        node = gpu_node(name)
        server.store.put(Key("nodes", "", name), node)

    def _server(self, name: str) -> Server:
        server = Server(name, self.rng, lambda: self.now_ms() + self.skews_ms[name])
        server.users["admin"] = User("admin")
        return server

    def _replica(self, name: str) -> Replica:
        for server in self.servers.values():
            token = f"hub-{name}" if server is self.hub else f"token-{server.name}"
            server.users[token] = User("operator")
            url = HUB if server is self.hub else url_of(server.name)
            link = Link(name, server, self.loop, self.rng, self.faults)
            # without election, two who see differently overwrite each other's words as long as they do
            link.is_frank = not self.plan.elects
            self.network.links[name, url] = link
        return Replica(
            name,
            loop=self.loop,
            network=self.network,
            database=self.database,
            clock=SimClock(self.loop),
            rng=self.rng,
            elects=self.plan.elects,
        )

    def _furnish(self, server: Server, nodes: int, sharing: str) -> None:
        """Onboard a leased cluster: its nodes, the policies, and on the hub the lease and its credential."""
        for index in range(nodes):
            self.add_node(server, f"{server.name}-{index}")
        policies = [("validatingadmissionpolicies", n) for n in VALIDATING]
        policies += [("validatingadmissionpolicybindings", n) for n in VALIDATING]
        policies += [("mutatingadmissionpolicies", n) for n in MUTATING]
        policies += [("mutatingadmissionpolicybindings", n) for n in MUTATING]
        for kind, name in policies:
            body: Object = {"metadata": {"name": name}, "spec": {}}
            body["metadata"]["annotations"] = notes_of(body)
            server.store.put(Key(kind, "", name), body)
        _namespace(server, PROBE_NAMESPACE)
        certificate, _ = certificate_and_key()
        api = ApiServer(Endpoint(url_of(server.name), ca_pem=certificate))
        secret = hub_secret(server.name, NAMESPACE, kubeconfig(api, f"token-{server.name}"))
        self.hub.store.put(Key("secrets", NAMESPACE, server.name), secret)
        body = lease(server.name, committed=8 * MOST_NODES, nodeSharing=sharing)
        self.admin(self.hub, "POST", "/apis/sublet.dev/v1alpha1/gpuleases", body)

    def _found_hub(self) -> None:
        for name in TENANTS:
            _namespace(self.hub, name)
            body = tenant(name, namespaces=(name,))
            self.admin(self.hub, "POST", "/apis/sublet.dev/v1alpha1/gputenants", body)
        self.admin(self.hub, "POST", "/apis/sublet.dev/v1alpha1/gpuclasses", gpu_class())


def url_of(cluster: str) -> str:
    """Return where a leased cluster is."""
    return f"https://{cluster}.sim:6443"


def _found(server: Server) -> None:
    _namespace(server, "kube-system")
    if server.name == "hub":
        _namespace(server, NAMESPACE)


def _namespace(server: Server, name: str) -> None:
    body: Object = {"metadata": {"name": name}, "status": {"phase": "Active"}}
    server.store.put(Key("namespaces", "", name), body)


def tokens_of(secret: Object) -> list[str]:
    """Return a tenant's tokens from the kubeconfig that was handed over."""
    text = base64.b64decode(secret["data"]["value"]).decode()
    return re.findall(r"token: (\S+)", text)
