"""One leased cluster as one lease sees it: its connection, its nodes, and what is known of it.

Owns the session and two tasks: a probe (identity, reachability, isolation) and the node informer, which starts
only when the cluster has shown the right identity. Nothing raised here leaves this object; what goes wrong shows
in `facts`. The inventory is kept while the cluster is silent: unreachable is not free.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

import structlog

from sublet.api.gpulease import GpuLease
from sublet.api.ids import ClusterUID, LeaseUID, NodeName
from sublet.book.inventory import LeaseInventory, NodeState, Reach
from sublet.clock import Clock
from sublet.fleet.facts import LeaseFacts
from sublet.fleet.inventory import node_state
from sublet.fleet.isolation import find_isolation_fault
from sublet.kube.errors import ApiError, Forbidden, KubeError, Unauthorized
from sublet.kube.informer import Informer, Target
from sublet.kube.session import ApiServer, Endpoint
from sublet.kube.wire import Meta, Node

GPU_PRESENT: Final = "nvidia.com/gpu.present"


@dataclass(frozen=True, slots=True)
class ProbeTimes:
    """How often a cluster is asked, in seconds."""

    every_seconds: float = 10.0
    failures: int = 3
    """So many failed probes in a row make a cluster's state Unknown."""
    isolation_seconds: float = 3_600.0
    isolation_retry_seconds: float = 15.0


class LeasedCluster:
    """The connection of one lease to its cluster."""

    def __init__(
        self,
        lease: GpuLease,
        endpoint: Endpoint,
        *,
        clock: Clock,
        lists: asyncio.Semaphore,
        on_change: Callable[[LeaseUID], None],
        times: ProbeTimes,
    ) -> None:
        self.lease_uid = LeaseUID(lease.metadata.uid)
        self.endpoint = endpoint
        self.api = ApiServer(endpoint)
        self._lease = lease
        self._clock = clock
        self._lists = lists
        self._on_change = on_change
        self._times = times
        self._facts = LeaseFacts()
        self._wire: dict[NodeName, Node] = {}  # node name -> as last seen
        self._states: dict[NodeName, NodeState] = {}  # node name -> as the book sees it
        self._foreign: set[NodeName] = set()
        self._generation = 0
        self._inventory: LeaseInventory | None = None
        self._failures = 0
        self._isolation_due = float("-inf")
        self._informer: Informer[Node] | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to probe; the informer follows when the identity is confirmed."""
        self._tasks.append(
            asyncio.create_task(self._probe_forever(), name=f"probe {self.lease_uid}")
        )

    async def close(self) -> None:
        """Stop all tasks and close the connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.api.close()

    @property
    def facts(self) -> LeaseFacts:
        """Return what is known of the cluster now."""
        synced = self._informer is not None and self._informer.synced
        return replace(self._facts, synced=synced)

    @property
    def writable(self) -> bool:
        """Say whether writes may go there: its identity is the pinned one."""
        return self._facts.cluster_uid is not None and self._facts.identity_error is None

    @property
    def stale_seconds(self) -> float:
        """Return how long the node watch has heard nothing."""
        return self._informer.stale_seconds if self._informer else float("inf")

    def inventory(self) -> LeaseInventory:
        """Return the lease's nodes as the book sees them; the same object while nothing changes."""
        if self._inventory is None:
            facts = self.facts
            self._inventory = LeaseInventory(
                lease_uid=self.lease_uid,
                reach=facts.reach,
                synced=facts.synced,
                isolation_ready=facts.isolation_ready is True,
                cluster_uid=facts.cluster_uid,
                generation=self._generation,
                nodes=MappingProxyType(dict(self._states)),
            )
        return self._inventory

    def node(self, name: NodeName) -> Node | None:
        """Return a node as last seen."""
        return self._wire.get(name)

    def nodes(self) -> tuple[Node, ...]:
        """Return all nodes as last seen."""
        return tuple(self._wire.values())

    def renew(self, lease: GpuLease) -> None:
        """Take over a changed spec; the selector and the credential are the registry's business."""
        changed = lease.spec != self._lease.spec
        self._lease = lease
        if changed:
            for node in tuple(self._wire.values()):
                self._recount(node)

    def observe(self, node: Node) -> None:
        """Take over the answer of a write, so that the next pass sees it; late events never go back."""
        old = self._wire.get(NodeName(node.metadata.name))
        if old is None or _is_newer(node.metadata, old.metadata):
            self._upsert(node)

    def note_foreign(self, name: NodeName, *, foreign: bool) -> None:
        """Remember what a live look at a node's pods showed."""
        if foreign != (name in self._foreign):
            self._foreign.symmetric_difference_update({name})
            if name in self._wire:
                self._recount(self._wire[name])

    def is_foreign(self, name: NodeName) -> bool:
        """Say whether foreign pods were seen on a node, or its pods still have to be looked at."""
        return name in self._foreign

    def _upsert(self, node: Node) -> None:
        old = self._wire.get(NodeName(node.metadata.name))
        if (
            old is not None
            and old.metadata.uid == node.metadata.uid
            and not _is_newer(node.metadata, old.metadata)
        ):
            return
        self._wire[NodeName(node.metadata.name)] = node
        self._recount(node)

    def _recount(self, node: Node) -> None:
        name = NodeName(node.metadata.name)
        before = self._states.get(name)
        state = node_state(node, self._lease, before=before, foreign_pods=name in self._foreign)
        if state != before:
            self._states[name] = state
            self._nodes_changed()

    def _delete(self, meta: Meta) -> None:
        name = NodeName(meta.name)
        self._wire.pop(name, None)
        if self._states.pop(name, None) is not None:
            self._nodes_changed()

    def _nodes_changed(self) -> None:
        self._generation += 1
        self._changed()

    def _changed(self) -> None:
        self._inventory = None
        self._on_change(self.lease_uid)

    def _learn(self, **fields: Any) -> None:
        facts = replace(self._facts, **fields)
        if facts != self._facts:
            self._facts = facts
            self._changed()

    async def _probe_forever(self) -> None:
        while True:
            try:
                await asyncio.wait_for(self._probe(), self._times.every_seconds)
                self._failures = 0
            except Unauthorized:
                self._learn(
                    reach=Reach.UNREACHABLE,
                    credentials_checked=False,
                    credentials_error="the cluster doesn't accept the credential; run `sublet onboard --rotate`",
                )
            except Forbidden as error:
                self._learn(reach=Reach.REACHABLE, permission_error=error.message)
            except (KubeError, TimeoutError) as error:
                self._fail(error)
            except Exception:  # noqa: BLE001  one cluster's surprise must not end its task, nor anybody else's
                structlog.get_logger().exception("probe failed", lease=self.lease_uid)
                self._fail(None)
            wait = self._times.every_seconds if self._facts.isolation_ready else 1.0
            await asyncio.sleep(min(wait, self._times.every_seconds))

    def _fail(self, error: Exception | None) -> None:
        self._failures += 1
        if self._failures >= self._times.failures or self._facts.reach is Reach.UNKNOWN:
            if self._facts.reach is not Reach.UNKNOWN:
                log = structlog.get_logger()
                log.warning("cluster unreachable", lease=self.lease_uid, error=type(error).__name__)
            since = self._facts.unreachable_since_ms or self._clock.now_ms()
            self._learn(reach=Reach.UNKNOWN, unreachable_since_ms=since)

    async def _probe(self) -> None:
        """Ask who the cluster is; go on only if it is the one it was."""
        kube_system: dict[str, Any] = await self.api.get("/api/v1/namespaces/kube-system")
        uid = ClusterUID(str(kube_system["metadata"]["uid"]))
        pinned = self._lease.spec.cluster_ref.cluster_uid or self._lease.status.cluster_uid
        if pinned is not None and pinned != uid:
            self._learn(
                reach=Reach.UNREACHABLE,
                credentials_checked=True,
                credentials_error=None,
                identity_error=f"the kubeconfig leads to cluster {uid}, but the lease is pinned to {pinned}",
            )
            return
        if self._facts.kubernetes_version is None:
            version: dict[str, Any] = await self.api.get("/version")
            self._learn(kubernetes_version=str(version.get("gitVersion", ""))[:64])
        self._learn(
            reach=Reach.REACHABLE,
            unreachable_since_ms=None,
            credentials_checked=True,
            credentials_error=None,
            identity_error=None,
            permission_error=None,
            cluster_uid=uid,
        )
        self._follow_nodes()
        if self._clock.monotonic() >= self._isolation_due:
            await self._prove_isolation()

    async def _prove_isolation(self) -> None:
        with contextlib.suppress(ApiError):
            fault = await find_isolation_fault(self.api)
            times = self._times
            wait = times.isolation_seconds if fault is None else times.isolation_retry_seconds
            self._isolation_due = self._clock.monotonic() + wait
            self._learn(isolation_ready=fault is None, isolation_message=fault or "")

    def _follow_nodes(self) -> None:
        if self._informer is not None:
            return
        selector = {GPU_PRESENT: "true", **self._lease.spec.node_selector}
        target = Target(
            "/api/v1/nodes",
            label_selector=",".join(f"{k}={v}" for k, v in sorted(selector.items())),
        )
        self._informer = Informer(
            self.api,
            target,
            Node,
            upsert=self._upsert,
            delete=self._delete,
            changed=self._changed,
            clock=self._clock,
            lists=self._lists,
        )
        self._tasks.append(
            asyncio.create_task(self._informer.run(), name=f"nodes {self.lease_uid}")
        )


def _is_newer(new: Meta, old: Meta) -> bool:
    """Compare resourceVersions, which Kubernetes ≥ 1.35 defines as comparable integers."""
    if new.uid != old.uid:
        return True
    try:
        return int(new.resource_version) > int(old.resource_version)
    except ValueError:
        return new.resource_version != old.resource_version
