"""One leased cluster as one lease sees it: its connection, its nodes, and what is known of it.

Owns the session and two tasks: the probe and the node informer, which starts only when the cluster has shown the
right identity and asks for it again before each list and watch. Nothing raised here leaves this object; what goes
wrong shows in `facts`. The inventory is kept while the cluster is silent: unreachable is not free.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from sublet.api.gpulease import GpuLease
from sublet.api.ids import ClusterUID, LeaseUID, NodeName, NodeUID
from sublet.api.times import MS_PER_SECOND, Millis
from sublet.book.inventory import LeaseInventory, NodeState
from sublet.clock import Clock
from sublet.fleet.facts import LeaseFacts, Orphans, Seen
from sublet.fleet.foreign import ForeignNodes
from sublet.fleet.gone import GoneNodes
from sublet.fleet.inventory import node_state
from sublet.fleet.node_turns import NodeTurns
from sublet.fleet.probe import Probe, ProbeTimes
from sublet.fleet.selector import is_followed, selector_of
from sublet.fleet.trouble import words_of
from sublet.fleet.vetting import Kept
from sublet.kube.addresses import RefuseAddress
from sublet.kube.informer import Informer, Target
from sublet.kube.pace import Pace
from sublet.kube.session import STRANGERS_LIMITS, ApiServer, Endpoint
from sublet.kube.versions import is_newer
from sublet.kube.wire import Meta, Node
from sublet.logs import log_about

FIRST_PAGE_SECONDS: Final = 2.0
"""A new connection begins to show nodes sooner than this, or nobody waits for it."""
MOST_LEFT: Final = 20_000
"""Nodes that went and are remembered; more than the largest cluster has."""


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
        refuse_address: RefuseAddress | None = None,
        hub_uid: ClusterUID | None = None,
        tenant_server: str = "",
        seen_ms: Millis | None = None,
        is_anothers: Callable[[ClusterUID], bool] = lambda _: False,
        foreign: ForeignNodes | None = None,
    ) -> None:
        """`refuse_address` judges what the server's name resolves to; `hub_uid` is who the cluster may not be.

        `is_anothers` says whether a UID is that of another lease's cluster, which can't be this one; `foreign` is what
        connections before this one have seen of foreign pods.
        """
        self.lease_uid = LeaseUID(lease.metadata.uid)
        self.tenant_endpoint = replace(endpoint, server=tenant_server or endpoint.server)
        """How tenants reach it; what of it is a secret is ours and never theirs."""
        self.api = ApiServer(endpoint, STRANGERS_LIMITS, refuse_address=refuse_address)
        self.credential_version = ""
        """resourceVersion of the Secret that the credential is from; set by the registry."""
        self.node_turns = NodeTurns()
        self.strays_touched = 0
        """How often a node was touched, or went, that the watch doesn't show: one may have the mark and no claim."""
        self._lease = lease
        self._clock = clock
        self._began = clock.monotonic()
        self._lists = lists
        self._on_change = on_change
        self._probe = Probe(
            self.api,
            lambda: self._lease,
            hub_uid=hub_uid,
            clock=clock,
            times=times,
            changed=self._changed,
            confirmed=self._confirmed,
            seen_ms=seen_ms,
            is_anothers=is_anothers,
        )
        self._kept = Kept()
        self._wire: dict[NodeName, Node] = {}  # node name -> as last seen
        self._states: dict[NodeName, NodeState] = {}  # node name -> as the book sees it
        self._settle_ms = int(times.settle_seconds * MS_PER_SECOND)
        self._settling: set[NodeName] = set()  # nodes that are watched for a while
        self._settling_pace = Pace(now=clock.monotonic)
        self._foreign = foreign if foreign is not None else ForeignNodes()
        self._doubtful: set[NodeName] = set()
        self._orphans = Orphans()
        self._gone = GoneNodes(
            self.api,
            clock=clock,
            confirm=self._probe.confirm,
            is_believed=lambda: self.writable,
            changed=self._changed,
        )
        self._left: dict[NodeUID, None] = {}  # nodes that the watch has seen go; oldest first
        self._generation = 0
        self._inventory: LeaseInventory | None = None
        self._informer: Informer[Node] | None = None
        self._facts: tuple[LeaseFacts, Seen, LeaseFacts] | None = None  # the last, after its parts
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to probe; the informer follows when the identity is confirmed."""
        self._tasks.append(asyncio.create_task(self._probe.run(), name=f"probe {self.lease_uid}"))

    async def close(self) -> None:
        """Stop all tasks and close the connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._gone.close()
        await self.api.close()

    @property
    def lease(self) -> GpuLease:
        """Return the lease as it was last handed over."""
        return self._lease

    @property
    def facts(self) -> LeaseFacts:
        """Return what is known of the cluster now."""
        known, informer = self._probe.facts, self._informer
        trouble = informer.trouble if informer else None
        seen = Seen(
            orphans=self._orphans,
            credential_version=self.credential_version if known.credentials_checked else "",
            synced=informer is not None and informer.synced and trouble is None,
            nodes_error=words_of(trouble),
        )
        # a pass asks several times for each lease, and hardly ever has anything changed
        if self._facts is None or (known, seen) != self._facts[:2]:
            self._facts = known, seen, known.with_seen(seen)
        return self._facts[2]

    @property
    def is_refused(self) -> bool:
        """Say whether the cluster answered that it doesn't accept the credential."""
        return self._probe.facts.credentials_error is not None

    def doubt(self) -> None:
        """Look at the cluster at once: it refused a step."""
        self._probe.doubt()

    @property
    def seen_ms(self) -> Millis | None:
        """Return when it was last seen to work."""
        return self._probe.seen_ms

    @property
    def age_key(self) -> tuple[Millis, LeaseUID]:
        """Return what orders leases by age."""
        return self._lease.metadata.creation_timestamp or Millis(0), self.lease_uid

    @property
    def writable(self) -> bool:
        """Say whether writes may go there: its identity is the pinned one, and it accepts the credential."""
        facts = self._probe.facts
        known = facts.cluster_uid is not None and facts.identity_error is None
        return known and not self.is_refused

    @property
    def age_seconds(self) -> float:
        """Return for how long there has been this connection."""
        return self._clock.monotonic() - self._began

    @property
    def is_being_read(self) -> bool:
        """Say whether its nodes are being listed for the first time, and come: soon much more is known."""
        if self._informer is not None:
            return self._informer.is_being_read
        return self.age_seconds < FIRST_PAGE_SECONDS and not self._probe.facts.is_faulty

    @property
    def stale_seconds(self) -> float:
        """Return how long the node watch has heard nothing."""
        return self._informer.stale_seconds if self._informer else float("inf")

    def inventory(self) -> LeaseInventory:
        """Return the lease's nodes as the book sees them; the same object while nothing changes."""
        facts = self.facts
        # a failure becomes trouble by time alone: nobody tells of that
        if self._inventory is None or self._inventory.synced != facts.synced:
            self._inventory = LeaseInventory(
                lease_uid=self.lease_uid,
                reach=facts.reach,
                synced=facts.synced,
                isolation_ready=facts.is_isolated,
                isolation_fault=facts.isolation_ready is False,
                cluster_uid=facts.cluster_uid,
                gone=frozenset(self._gone.uids),
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
        before, self._lease = self._lease.spec, lease
        if lease.spec != before:
            self._probe.see_access(before.tenant_access)
            for node in tuple(self._wire.values()):
                self._recount(node)

    def observe(self, node: Node) -> None:
        """Take over the answer of a write, so that the next pass sees it; late events never go back.

        Nor does one bring a node back that the watch has seen go, or in that it doesn't ask for: nobody would say when it goes.
        """
        if not is_followed(node.metadata.labels, self._lease):
            self.strays_touched += 1
            return
        if NodeUID(node.metadata.uid) in self._left:
            return
        self._upsert(node)
        self._note(self._wire[NodeName(node.metadata.name)])

    def note_foreign(self, name: NodeName, *, foreign: bool) -> None:
        """Remember what a live look at a node's pods showed; nothing of one that isn't there."""
        if name in self._wire and self._foreign.note(name, foreign=foreign):
            self._recount(self._wire[name])

    def note_doubt(self, name: NodeName, *, in_doubt: bool) -> None:
        """Quarantine a node whose marks disagree with what claims have, or let it be sold again; nothing of one that isn't there."""
        if name in self._wire and in_doubt != (name in self._doubtful):
            self._doubtful.symmetric_difference_update({name})
            self._recount(self._wire[name])

    def note_orphans(self, orphans: Orphans) -> None:
        """Remember what was found of claims that the hub doesn't know."""
        if orphans != self._orphans:
            self._orphans = orphans
            self._changed()

    def look_for(self, name: NodeName, uid: NodeUID) -> None:
        """Ask for a node that isn't listed by its name: it may be gone, or have lost a label."""
        self._gone.look_for(name, uid)

    def is_foreign(self, name: NodeName) -> bool:
        """Say whether foreign pods were seen on a node, or its pods still have to be looked at."""
        return name in self._foreign

    def _see(self, node: Node) -> None:
        """Take over what the watch shows."""
        self._left.pop(NodeUID(node.metadata.uid), None)
        self._upsert(node)

    def _see_listed(self, node: Node) -> None:
        """Take over what a list shows: also what is older than known, for a restored server's versions go back.

        An answer that was newer than the list comes again as an event.
        """
        self._left.pop(NodeUID(node.metadata.uid), None)
        if self._wire.get(NodeName(node.metadata.name)) != node:
            self._take(node)

    def _upsert(self, node: Node) -> None:
        old = self._wire.get(NodeName(node.metadata.name))
        if old is None or _supersedes(node, old):
            self._take(node)

    def _take(self, node: Node) -> None:
        self._kept.take(node)
        old = self._wire.get(NodeName(node.metadata.name))
        if old is not None and old.metadata.uid != node.metadata.uid:
            self._note_left(NodeUID(old.metadata.uid))
        self._wire[NodeName(node.metadata.name)] = node
        self._gone.uids.discard(NodeUID(node.metadata.uid))
        self._recount(node)

    def _recount(self, node: Node) -> None:
        before = self._states.get(name := NodeName(node.metadata.name))
        state = node_state(
            node,
            self._lease,
            before=before,
            foreign_pods=name in self._foreign,
            in_doubt=name in self._doubtful,
            now_ms=self._clock.now_ms(),
            steady_ms=int(self._clock.monotonic() * MS_PER_SECOND),
            settle_ms=self._settle_ms,
        )
        if state.settles_ms is None:
            self._settling.discard(name)
        else:
            self._settling.add(name)
        if state != before:
            self._states[name] = state
            self._nodes_changed()

    def _delete(self, meta: Meta) -> None:
        name = NodeName(meta.name)
        self._note_left(NodeUID(meta.uid))
        known = self._wire.get(name)
        if known is not None and known.metadata.uid != meta.uid:
            self._note(known)  # an answer has shown a node that was made anew since
            return
        self._wire.pop(name, None)
        self.strays_touched += 1  # relabelled nodes go from the watch, too
        self._kept.drop(name)
        self._settling.discard(name)
        self._doubtful.discard(name)
        self._foreign.note(name, foreign=False)
        if self._states.pop(name, None) is not None:
            self._nodes_changed()

    def _note(self, node: Node) -> None:
        """Have a list say when a node is gone that an answer showed."""
        if self._informer is not None:
            self._informer.note(node.metadata)

    def _note_left(self, uid: NodeUID) -> None:
        """Remember a node that is gone until no answer of it can be late any more; a liar shows new ones without end."""
        self._left.pop(uid, None)
        self._left[uid] = None
        if len(self._left) > MOST_LEFT:
            del self._left[next(iter(self._left))]

    def _nodes_changed(self) -> None:
        self._generation += 1
        self._changed()

    def _changed(self) -> None:
        self._inventory = None
        self._on_change(self.lease_uid)

    async def _confirmed(self) -> None:
        """Go on after a probe that found the right cluster."""
        self._foreign.begin(self._probe.facts.cluster_uid)
        self._follow_nodes()
        if self._informer is not None and self._informer.synced:
            self._foreign.keep(self._wire)
        await self._settling_pace.through(self._resettle, tuple(self._settling))

    def _resettle(self, name: NodeName) -> None:
        """Judge a node again that is watched for a while, unless it went meanwhile."""
        if name in self._settling:
            self._recount(self._wire[name])

    def _follow_nodes(self) -> None:
        if self._informer is not None:
            return
        labels = ",".join(f"{k}={v}" for k, v in sorted(selector_of(self._lease).items()))
        target = Target("/api/v1/nodes", label_selector=labels)
        self._informer = Informer(
            self.api,
            target,
            Node,
            upsert=self._see,
            listed=self._see_listed,
            delete=self._delete,
            changed=self._changed,
            clock=self._clock,
            lists=self._lists,
            confirm=self._probe.confirm,
            log=log_about(lease=self._lease),
        )
        self._tasks.append(
            asyncio.create_task(self._informer.run(), name=f"nodes {self.lease_uid}")
        )


def _supersedes(node: Node, old: Node) -> bool:
    """Say whether a node is to be taken: newer, as one made anew is too, or a restored server's at a version given again."""
    version, known = node.metadata.resource_version, old.metadata.resource_version
    return is_newer(version, known) or (version == known and node != old)
