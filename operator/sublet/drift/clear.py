"""Takes back what a cluster holds of a claim that is nobody's: the steps of a release, without a claim to write them on.

The decision is durable in the ledger: what was open for the claim is closed there before anything is destroyed. Before
each destructive phase the hub is asked again. Pods first, then the entry off; a silent cluster holds everything up.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from typing import Protocol

from sublet.api.gpulease import GpuLease
from sublet.api.ids import ClaimUID, LeaseUID
from sublet.api.lease_terms import TenantAccess
from sublet.api.relocation import PlacedNode
from sublet.api.times import Millis
from sublet.api.wording import how_many
from sublet.binder.identity import confirm
from sublet.binder.locks import unlock_node
from sublet.binder.namespace import Home
from sublet.binder.pods import list_pods
from sublet.binder.ports import StillThere, Tools
from sublet.binder.release import empty, see_rested, shut_out
from sublet.binder.sites import Berth, Site
from sublet.binder.slots import Urgency
from sublet.binder.wiped import note_vacated, see_clean
from sublet.drift.orphans import Orphan
from sublet.fleet.cluster import LeasedCluster
from sublet.ledger.entry import EntryKind, EntryType, Fact
from sublet.ledger.running import open_lines

Guard = Callable[[], Awaitable[None]]
"""Asks the hub once more; raises Overtaken if the claim is there after all."""


class Ledger(Protocol):
    """What is read of the ledger."""

    async def facts_of(self, claim_uids: Sequence[str]) -> list[Fact]:
        """Return all facts of some claims in ledger order."""

    async def newest_facts(self, count: int) -> list[Fact]:
        """Return the last facts, newest first."""

    async def found_facts(self, count: int) -> list[Fact]:
        """Return the last facts of those that were there before this process wrote any."""


class Clearing:
    """The taking back of one orphan; may be begun again after any failure."""

    def __init__(
        self,
        tools: Tools,
        ledger: Ledger,
        orphan: Orphan,
        ended_ms: Millis,
        *,
        is_over: bool,
        ending: asyncio.Lock,
    ) -> None:
        """`ended_ms`: until when the claim is billed; `is_over`: the ledger's lines of it are to end.

        `ending` is all clearings': of a claim that two clusters hold each line is to end once.
        """
        self._tools = tools
        self._ledger = ledger
        self._orphan = orphan
        self._ended_ms = ended_ms
        self._is_over = is_over
        self._ending = ending
        self._vacated_ms: Millis | None = None

    async def stop(self, guard: Guard) -> None:
        """End what is billed, wherever it is; nothing is taken back before."""
        await guard()
        async with self._ending:
            await self._close_bill()

    async def run(self, cluster: LeasedCluster, lease: GpuLease, guard: Guard) -> None:
        """Take everything back; StillThere, ClusterSilent, LedgerUnavailable and the APIs' errors: try again later."""
        await self.stop(guard)
        sites = self._sites(cluster, lease)
        # where none was seen, the name stands for the cluster alone: the claim may live on under it
        homes = sites if self._orphan.namespaces else []
        for site in homes:
            await shut_out(site)
        await guard()
        for site in homes:
            await empty(site)
        await self._see_nobody(sites[0])
        await note_vacated(sites[0])
        self._rest(lease)
        for berth in sites[0].berths:
            await see_clean(sites[0], berth)
        await guard()
        for berth in sites[0].berths:
            async with sites[0].changing(berth, Urgency.RELEASE):
                await unlock_node(cluster, berth.place, self._orphan.claim_uid)
        await self.end({LeaseUID(lease.metadata.uid)})

    async def end(self, leases: Collection[LeaseUID]) -> None:
        """End what is held of some leases, as nothing of the claim is left there."""
        async with self._ending:
            await self._close_rest(leases)

    def rests_since(self, earlier: "Clearing") -> None:
        """Go on with an earlier try's rest."""
        self._vacated_ms = earlier._vacated_ms  # noqa: SLF001  of our own kind

    def _sites(self, cluster: LeasedCluster, lease: GpuLease) -> list[Site]:
        """Return the orphan's namespaces as sites; its nodes are with the first."""
        berths = tuple(
            Berth(_place(lease, e.node, e.node_uid, e.gpus), lease, cluster)
            for e in self._orphan.entries
            if e.lease_uid == lease.metadata.uid
        )
        names = self._orphan.namespaces or (f"sublet-{self._orphan.claim_uid}-1",)
        homes = [
            Home(
                claim_uid=ClaimUID(self._orphan.claim_uid),
                sequence=int(name.rsplit("-", 1)[1]),
                gpus=self._orphan.gpus,
                access=TenantAccess(),
                server="",
                host_share=None,
            )
            for name in names
        ]
        slots = self._tools.slots(cluster.lease_uid)
        return [
            Site(lease.spec.tenant_alias, cluster, slots, berths if i == 0 else (), home)
            for i, home in enumerate(homes)
        ]

    async def _see_nobody(self, site: Site) -> None:
        """See live that no pod of the claim is left on its nodes, in whatever namespace of it."""
        for berth in site.berths:
            async with site.asking(Urgency.RELEASE):
                here = {"fieldSelector": f"spec.nodeName={berth.place.node}"}
                pods = await list_pods(site.cluster.api, "/api/v1/pods", **here)
                await confirm(site.cluster)
            theirs = f"sublet-{self._orphan.claim_uid}-"
            left = sum(p.metadata.namespace.startswith(theirs) for p in pods)
            if left:
                raise StillThere(f"waiting for {how_many(left, 'pod')} on node {berth.place.node}")

    def _rest(self, lease: GpuLease) -> None:
        """Let the nodes rest as the lease asks for it, counted from when this process saw them empty."""
        self._vacated_ms = self._vacated_ms or self._tools.clock.now_ms()
        seconds = lease.spec.term.quarantine_seconds
        see_rested(self._orphan.claim_uid, self._vacated_ms, seconds, self._tools)

    async def _close_bill(self) -> None:
        """End what is billed, of all leases at once: from then on it is held and not billed. Nothing is closed twice."""
        ends = [
            replace(f, type=EntryType.CLOSE, at_ms=Millis(max(self._ended_ms, _least_end(f))))
            for f in await self._open()
            if f.kind is not EntryKind.RELEASING
        ]
        billed = [f for f in ends if f.kind is EntryKind.BOUND]
        ends += [replace(f, kind=EntryKind.RELEASING, type=EntryType.OPEN) for f in billed]
        if ends:
            await self._tools.ledger.append(ends, {})

    async def _close_rest(self, leases: Collection[LeaseUID]) -> None:
        now = self._tools.clock.now_ms()
        ends = [
            replace(f, type=EntryType.CLOSE, at_ms=Millis(max(now, f.at_ms)))
            for f in await self._open()
            if f.kind is EntryKind.RELEASING and f.lease_uid in leases
        ]
        if ends:
            await self._tools.ledger.append(ends, {})

    async def _open(self) -> list[Fact]:
        """Return the lines that are to end; none of a claim that goes on elsewhere."""
        if not self._is_over:
            return []
        return open_lines(await self._ledger.facts_of([self._orphan.claim_uid]))


def _least_end(begun: Fact) -> int:
    """Return the first instant at which a line may end: downtimes touch, and none of them is empty."""
    return begun.at_ms + (begun.kind is EntryKind.DOWNTIME)


def _place(lease: GpuLease, node: str, node_uid: str, gpus: int) -> PlacedNode:
    return PlacedNode(
        lease=lease.spec.tenant_alias,
        lease_uid=lease.metadata.uid,
        product=lease.spec.product,
        gpus=gpus,
        node=node,
        node_uid=node_uid,
    )
