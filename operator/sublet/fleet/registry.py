"""All leased clusters: engaged when a lease and its credential are there, dropped when either goes.

Written by the hub's loop as leases and Secrets come and go; read by the snapshot and the binder. A changed
credential (by hash) means a new connection; the old inventory is kept until the new one is read.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final

from sublet.api.gpulease import GpuLease
from sublet.api.ids import ClusterUID, LeaseUID
from sublet.api.times import MS_PER_SECOND, Millis
from sublet.book.inventory import LeaseInventory, Reach
from sublet.clock import Clock
from sublet.fleet.cluster import LeasedCluster
from sublet.fleet.credential import Credential
from sublet.fleet.facts import LeaseFacts
from sublet.fleet.foreign import ForeignNodes
from sublet.fleet.kubeconfig import KubeconfigRefused, parse_kubeconfig
from sublet.fleet.probe import ProbeTimes
from sublet.kube.addresses import is_local_address
from sublet.kube.informer import LISTS_AT_ONCE
from sublet.kube.session import Endpoint

REFUSED_RETRY_SECONDS: Final = 60.0
"""How often a credential that the cluster refuses is tried again; a changed one is tried at once."""
FIRST_ANSWER_SECONDS: Final = 10.0
"""A connection that is new has so long to show its nodes and its isolation; its lease's status stays as it was meanwhile."""


@dataclass(frozen=True, slots=True)
class Engagement:
    """What a connection was made from; if it differs, the connection is made anew."""

    credential: str
    """Its digest."""
    selector: tuple[tuple[str, str], ...]
    pin: str | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a lease has no usable credential; judged anew only when what it was made from changes."""

    made_from: Engagement
    facts: LeaseFacts
    again_at: float = float("inf")
    """Monotonic seconds from which on the same credential is tried again: a cluster may come to accept it."""


class Fleet:
    """The leased clusters by lease."""

    hub_uid: ClusterUID | None = None
    """Who the hub is: no kubeconfig may lead there."""

    def __init__(
        self,
        *,
        clock: Clock,
        on_change: Callable[[LeaseUID], None],
        allow_local: bool,
        hub_servers: Collection[str],
        times: ProbeTimes | None = None,
        may_change: Callable[[], bool] | None = None,
    ) -> None:
        self._clock = clock
        self._may_change = may_change
        self._on_change = on_change
        self._allow_local = allow_local
        self._hub_servers = hub_servers
        self._times = times or ProbeTimes()
        self._lists = asyncio.Semaphore(LISTS_AT_ONCE)
        self._clusters: dict[LeaseUID, LeasedCluster] = {}  # lease UID -> connection
        self._made_from: dict[LeaseUID, Engagement] = {}  # lease UID -> what it was made from
        self._refused: dict[LeaseUID, Refusal] = {}
        self._last: dict[
            LeaseUID, LeaseInventory
        ] = {}  # lease UID -> nodes before the connection was dropped
        self._seen: dict[LeaseUID, Millis] = {}  # lease UID -> when it was last seen to work, then
        self._foreign: dict[LeaseUID, ForeignNodes] = {}  # lease UID -> what was seen of pods

    async def engage(self, lease: GpuLease, credential: Credential) -> None:
        """Connect a lease to its cluster, or keep the connection if nothing that matters changed."""
        uid = LeaseUID(lease.metadata.uid)
        wanted = Engagement(
            credential.digest,
            tuple(sorted(lease.spec.node_selector.items())),
            lease.spec.cluster_ref.cluster_uid,
        )
        if self._made_from.get(uid) == wanted:
            await self._keep(uid, lease, credential)
            return
        last = self._refused.get(uid)
        if last is not None and last.made_from == wanted:
            if self._clock.monotonic() < last.again_at:
                return
        else:
            self._refused.pop(uid, None)
        try:
            endpoint = await self._endpoint(credential)
        except KubeconfigRefused as refused:
            await self._drop(uid)
            facts = LeaseFacts(
                credentials_error=str(refused), seen_ms=self._seen.get(uid), tried=True
            )
            self._refused[uid] = Refusal(wanted, facts)
            self._on_change(uid)
            return
        await self._drop(uid)
        cluster = LeasedCluster(
            lease,
            endpoint,
            clock=self._clock,
            lists=self._lists,
            on_change=self._on_change,
            times=self._times,
            # the hub's own address was not given by a stranger
            refuse_address=None if self._allow_local or credential.is_hub else is_local_address,
            hub_uid=None if credential.is_hub else self.hub_uid,
            tenant_server=credential.tenant_server,
            seen_ms=self._seen.get(uid),
            is_anothers=lambda cluster_uid: self._is_anothers(uid, cluster_uid),
            foreign=self._foreign.setdefault(uid, ForeignNodes()),
        )
        cluster.credential_version = credential.version
        cluster.api.may_change = self._may_change
        self._clusters[uid] = cluster
        self._made_from[uid] = wanted
        cluster.start()
        self._on_change(uid)
        # whatever it has shown by then is told
        asyncio.get_running_loop().call_later(FIRST_ANSWER_SECONDS, self._on_change, uid)

    async def _keep(self, uid: LeaseUID, lease: GpuLease, credential: Credential) -> None:
        """Keep a connection, unless the cluster refuses its credential: then it is dropped, and tried again later."""
        cluster, made_from = self._clusters[uid], self._made_from[uid]
        if cluster.is_refused:
            again_at = self._clock.monotonic() + REFUSED_RETRY_SECONDS
            self._refused[uid] = Refusal(made_from, cluster.facts, again_at)
            await self._drop(uid)
            return
        if cluster.facts.credentials_checked:
            self._refused.pop(uid, None)
        cluster.credential_version = credential.version
        cluster.renew(lease)

    async def disengage(self, uid: LeaseUID) -> None:
        """Forget a lease that is gone."""
        await self._drop(uid)
        self._refused.pop(uid, None)
        self._last.pop(uid, None)
        self._seen.pop(uid, None)
        self._foreign.pop(uid, None)

    def cluster(self, uid: LeaseUID) -> LeasedCluster | None:
        """Return a lease's connection if there is one and writes may go there."""
        found = self._clusters.get(uid)
        return found if found is not None and found.writable else None

    def connection(self, uid: LeaseUID) -> LeasedCluster | None:
        """Return a lease's connection, whatever its state; for reading."""
        return self._clusters.get(uid)

    def inventories(self) -> Mapping[LeaseUID, LeaseInventory]:
        """Return every lease's nodes; of a lease without connection, those it had last."""
        return {uid: self._inventory(uid) for uid in (*self._clusters, *self._last)}

    def facts(self, uid: LeaseUID) -> LeaseFacts:
        """Return what is known of a lease's cluster; a credential that was refused is, until the cluster accepts it."""
        cluster, refused = self._clusters.get(uid), self._refused.get(uid)
        if cluster is not None and (refused is None or cluster.facts.credentials_checked):
            return cluster.facts
        if cluster is not None and refused is not None and cluster.facts.tried:
            return replace(cluster.facts, credentials_error=refused.facts.credentials_error)
        return refused.facts if refused else LeaseFacts(credentials_error="not connected yet")

    @property
    def due_ms(self) -> Millis | None:
        """Return when a credential that was refused is tried again, None if none is."""
        waits = [r.again_at for uid, r in self._refused.items() if uid not in self._clusters]
        soonest = min(waits, default=float("inf"))
        if soonest == float("inf"):
            return None
        left_ms = int((soonest - self._clock.monotonic()) * MS_PER_SECOND)
        return Millis(self._clock.now_ms() + max(0, left_ms) + 1)

    def is_settled(self) -> bool:
        """Say whether every connection has shown what it leads to: nodes and a first proof of isolation, or a fault."""
        return all(_has_answered(c.facts) for c in self._clusters.values())

    def is_being_read(self) -> bool:
        """Say whether nodes of some cluster are being listed for the first time, and come: a decision in a moment knows more."""
        return any(c.is_being_read for c in self._clusters.values())

    def has_answered(self, uid: LeaseUID) -> bool:
        """Say whether a lease's connection has shown something, or had its time to: before that there is nothing to tell."""
        cluster = self._clusters.get(uid)
        if cluster is None or _has_answered(cluster.facts):
            return True
        silent = cluster.facts.unreachable_since_ms is not None
        return silent or cluster.age_seconds >= FIRST_ANSWER_SECONDS

    async def close(self) -> None:
        """Close all connections."""
        await asyncio.gather(*(self._drop(uid) for uid in list(self._clusters)))

    def _is_anothers(self, uid: LeaseUID, cluster_uid: ClusterUID) -> bool:
        """Say whether an older lease reaches a cluster of this UID by another CA: anybody can copy a UID, nobody a key."""
        mine = self._clusters.get(uid)
        return mine is not None and any(
            other.age_key < mine.age_key
            and other.writable
            and other.facts.cluster_uid == cluster_uid
            and other.api.endpoint.ca_pem != mine.api.endpoint.ca_pem
            for other in self._clusters.values()
        )

    def _inventory(self, uid: LeaseUID) -> LeaseInventory:
        cluster = self._clusters.get(uid)
        if cluster is None:
            return self._last[uid]
        fresh = cluster.inventory()
        if fresh.synced:
            self._last.pop(uid, None)
        elif uid in self._last:
            return self._last[uid]
        return fresh

    async def _drop(self, uid: LeaseUID) -> None:
        cluster = self._clusters.pop(uid, None)
        self._made_from.pop(uid, None)
        if cluster is None:
            return
        if cluster.seen_ms is not None:
            self._seen[uid] = cluster.seen_ms
        kept = cluster.inventory()
        if kept.synced:
            self._last[uid] = LeaseInventory(
                lease_uid=uid,
                reach=Reach.UNKNOWN,
                cluster_uid=kept.cluster_uid,
                generation=kept.generation,
                nodes=kept.nodes,
            )
        await cluster.close()
        self._on_change(uid)

    async def _endpoint(self, credential: Credential) -> Endpoint:
        """Return where a credential leads; KubeconfigRefused says why it can't be used."""
        if credential.endpoint is not None:
            return credential.endpoint
        if credential.kubeconfig is None:
            raise KubeconfigRefused("", credential.missing)
        try:
            # hostile YAML may take a while, which is nobody else's time
            return await asyncio.to_thread(
                parse_kubeconfig,
                credential.kubeconfig,
                allow_local=self._allow_local,
                hub_servers=self._hub_servers,
            )
        except KubeconfigRefused as refusal:
            raise KubeconfigRefused("", f"the kubeconfig is refused: {refusal}") from refusal


def _has_answered(facts: LeaseFacts) -> bool:
    return (
        facts.is_faulty
        or bool(facts.missing_rights)
        or (facts.synced and facts.isolation_ready is not None)
    )
