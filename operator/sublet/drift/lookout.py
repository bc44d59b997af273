"""One look at one cluster: its nodes against the claims that have them, its namespaces against what they should hold.

Nodes are put right here, under tests of their own; claims that need mending, and what is nobody's, are handed on.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from sublet.api.claim_status import allocation_of
from sublet.api.common import find_condition
from sublet.api.event_reasons import EventReason
from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.ids import ClaimUID, ClusterUID, LeaseUID, NodeName, NodeUID
from sublet.binder.namespace import CLAIM_LABEL
from sublet.binder.nodes import CLAIM_NAMESPACE, has_foreign_pods
from sublet.binder.outlived import words
from sublet.binder.ports import Tools
from sublet.binder.secret import SecretState, is_astray, look_at_secret
from sublet.binder.sites import Site, reachable_sites
from sublet.book.inventory import Unfit
from sublet.drift.claims import Claims, is_steady
from sublet.drift.doubts import Doubt, Doubts, Seen
from sublet.drift.finding import Finding, Reason
from sublet.drift.look import Sight, look
from sublet.drift.marks import Holder, Verdict, judge
from sublet.drift.mend import drifted, is_handed_over
from sublet.drift.news import News
from sublet.drift.nodes import mend_node
from sublet.drift.orphans import MOST_ORPHANS, Entry, Orphan
from sublet.drift.outlived import Outlived
from sublet.fleet.cluster import LeasedCluster
from sublet.fleet.isolation import PROBE_UID
from sublet.fleet.nodebook import BOOK, LEASE_LABEL, BookError, parse_book
from sublet.kube.errors import BadAnswer
from sublet.kube.pace import Pace
from sublet.kube.wire import Node
from sublet.logs import log_about

_SECRETS_IN: Final = 5
"""Each kubeconfig is asked about in every fifth look: a dry run on the hub costs more than a line of a list."""
_PODS_OF_NODES: Final = 16
"""Nodes whose pods are looked at in one look, those first that weren't for longest."""
_AT_A_STRETCH: Final = 32
"""Nodes that are compared before others get their turn on the loop."""
_NODES_MENDED: Final = 256
"""Nodes whose marks are put back in one look; the others have their turn in the next ones."""
_MOST_ENTRIES: Final = 200_000
"""Of claims that a cluster's nodes name and that don't have them; eight on each of the most nodes that any has."""
_PROFILE: Final = frozenset({Unfit.MIG, Unfit.SHARING, Unfit.WRONG_PRODUCT})
_SAID: Final[Mapping[Reason, str]] = {
    Reason.NODE_IN_DOUBT: "the platform team looks into it",
    Reason.FOREIGN_POD: "a pod that is no claim's holds GPUs there; its owner must take it away",
    Reason.PROFILE_CHANGED: "MIG, sharing or the product of its GPUs was changed; the landlord must change it back",
}


@dataclass(frozen=True, slots=True)
class Place:
    """One lease and its connection."""

    lease: GpuLease
    cluster: LeasedCluster


@dataclass(frozen=True, slots=True)
class Found:
    """What a look hands on."""

    unwell: tuple[GpuClaim, ...]
    """Bound claims of which something isn't as it should be."""
    orphans: tuple[Orphan, ...]
    has_more: bool = False
    """Marks of more nodes are to be put back than one look does, and some weren't tried yet, or not often enough to say it."""


_Findings = dict[tuple[LeaseUID, ClaimUID], list[Finding]]
"""(lease, claim) -> what its nodes were found to be"""


@dataclass(slots=True)
class _Strangers:
    """The claims that nodes name and that don't have them."""

    entries: dict[ClaimUID, list[Entry]] = field(default_factory=lambda: defaultdict(list))
    count: int = 0

    def note(self, lease_uid: LeaseUID, node: Node, uids: Iterable[ClaimUID]) -> None:
        """Take note of those that one node names, up to what any cluster can have."""
        name, node_uid, gpus = NodeName(node.metadata.name), NodeUID(node.metadata.uid), _gpus(node)
        for uid in islice(uids, _MOST_ENTRIES - self.count):
            self.entries[uid].append(Entry(lease_uid, name, node_uid, gpus.get(uid, 1)))
            self.count += 1


@dataclass(slots=True)
class _Survey:
    """What one look at nodes goes by, and what it found so far."""

    uid: ClusterUID
    claims: Claims
    here: Mapping[str, GpuClaim]
    """Claims of the leases that are looked at, by UID"""
    is_busy: Callable[[ClaimUID], bool]
    outlived: Outlived
    doubts: Doubts
    findings: _Findings = field(default_factory=lambda: defaultdict(list))
    strangers: _Strangers = field(default_factory=_Strangers)
    mended: int = 0
    """Nodes whose marks were to be put back"""
    has_more: bool = False

    def has_turn(self, node: Seen) -> bool:
        """Say whether one more node's marks may be put back."""
        if self.mended < _NODES_MENDED:
            self.mended += 1
            self.doubts.begin_try(node)
            return True
        doubt = self.doubts.of(node)
        self.has_more |= not self.doubts.tried(node) or (bool(doubt.text) and not doubt.is_sure)
        return False


class Lookout:
    """Looks at clusters; remembers what it looked at when."""

    def __init__(self, tools: Tools, news: News) -> None:
        self._tools = tools
        self._news = news
        self._looks: Counter[ClusterUID] = Counter()
        """Each cluster's own: of a number that all share, each might see every fifth alone"""
        self._looked: set[LeaseUID] = set()
        """Leases whose nodes were seen in one whole look"""
        self._known: dict[LeaseUID, ClusterUID] = {}
        """Leases whose nodes were seen once more: before that nobody knows whether what a claim says is over -> cluster"""
        self._doubted: dict[ClusterUID, Doubts] = {}
        self._pods_seen: dict[LeaseUID, dict[NodeUID, int]] = {}
        """lease -> node UID -> look at which its pods were seen"""

    async def look(
        self,
        uid: ClusterUID,
        places: Sequence[Place],
        claims: Claims,
        is_busy: Callable[[ClaimUID], bool],
    ) -> Found:
        """Look once; raises the API's errors."""
        self._looks[uid] += 1
        sight = await look(places[0].cluster)
        here = {c.metadata.uid: c for p in places for c in claims.of_lease(p.cluster.lease_uid)}
        steady = [
            c for c in here.values() if is_steady(c) and not is_busy(ClaimUID(c.metadata.uid))
        ]
        outlived = Outlived(self._tools)
        doubts = self._doubted.setdefault(uid, Doubts())
        survey = _Survey(uid, claims, here, is_busy, outlived, doubts)
        await self._nodes(survey, places)
        foreign = _said_foreign(here.values())
        for place in places:
            await self._pods(place, self._looks[uid], foreign)
        self._note(uid, places, claims, survey.findings)
        unwell = []
        pace = Pace()
        compared = ((c, self._is_unwell(c, uid, sight)) for c in steady)
        async for claim, is_unwell in pace.over(compared):
            if is_unwell or await self._has_lost_access(claim, uid):
                unwell.append(claim)
        over = await outlived.among(unwell)
        for claim in unwell:
            if claim.metadata.uid in over:
                said = Finding(Reason.NODE_IN_DOUBT, words(claim))
                self._news.note(ClaimUID(claim.metadata.uid), uid, (said,))
        left = {uid for place in places for uid in left_by(place.lease)}
        orphans = await find_orphans(sight, claims, survey.strangers.entries, left, pace)
        self._looked |= {p.cluster.lease_uid for p in places}
        mendable = tuple(c for c in unwell if c.metadata.uid not in over)
        return Found(mendable, orphans, has_more=survey.has_more)

    def keep(self, clusters: Collection[ClusterUID], leases: Collection[LeaseUID]) -> None:
        """Forget all but these; one that only can't be reached now is among them."""
        self._looked.intersection_update(leases)
        for by_cluster in (self._looks, self._doubted):
            for uid in by_cluster.keys() - clusters:
                del by_cluster[uid]
        for by_lease in (self._known, self._pods_seen):
            for lease_uid in by_lease.keys() - leases:
                del by_lease[lease_uid]

    def _note(
        self, uid: ClusterUID, places: Sequence[Place], claims: Claims, findings: _Findings
    ) -> None:
        """Hand on what was found of claims' nodes; what they say is looked at again once all of their nodes were seen."""
        for lease_uid in (p.cluster.lease_uid for p in places):
            for claim in claims.of_lease(lease_uid):
                claim_uid = ClaimUID(claim.metadata.uid)
                found = findings.get((lease_uid, claim_uid), ())
                self._news.note_nodes(claim_uid, uid, lease_uid, tuple(found))
            if lease_uid in self._looked:
                self._known[lease_uid] = uid
        for claim in (c for p in places for c in claims.of_lease(p.cluster.lease_uid)):
            leases = {LeaseUID(p.lease_uid) for p in allocation_of(claim).placements}
            if leases <= self._known.keys():
                self._news.recall(claim, {self._known[x] for x in leases})
        self._news.keep(uid, claims.at(uid))

    async def _nodes(self, survey: _Survey, places: Sequence[Place]) -> None:
        """Look at all nodes, those first whose marks weren't tried for longest."""
        shown = [
            ((p.cluster.lease_uid, NodeUID(n.metadata.uid)), p, n)
            for p in places
            for n in p.cluster.nodes()
        ]
        survey.doubts.keep({seen for seen, _, _ in shown})
        shown.sort(key=lambda each: survey.doubts.tried(each[0]))
        for number, (_, place, node) in enumerate(shown):
            if number % _AT_A_STRETCH == 0:
                await asyncio.sleep(0)
            await self._node(survey, place, node)

    async def _node(self, survey: _Survey, place: Place, node: Node) -> None:
        """Judge one node as seen; mend it, say it of its claims, or note whom it names that doesn't have it."""
        cluster, lease = place.cluster, place.lease
        name, node_uid = NodeName(node.metadata.name), NodeUID(node.metadata.uid)
        holders = survey.claims.holders(node_uid, survey.uid)
        verdict = judge(node, lease, holders)
        doubt = await self._doubt(survey, place, node, verdict, holders)
        cluster.note_doubt(name, in_doubt=doubt.is_sure)
        if unknown := verdict.strangers - left_by(lease):
            survey.strangers.note(cluster.lease_uid, node, unknown)
        reason = self._reason(cluster, name, in_doubt=doubt.is_sure)
        for holder in holders if reason is not None else ():
            if holder.is_bound and reason is not None:
                why = f"{doubt.text}; " if doubt.text else ""
                said = f"node {name} at {lease.spec.tenant_alias}: {why}{_SAID[reason]}"
                survey.findings[cluster.lease_uid, holder.claim_uid].append(Finding(reason, said))

    async def _doubt(
        self,
        survey: _Survey,
        place: Place,
        node: Node,
        verdict: Verdict,
        holders: Sequence[Holder],
    ) -> Doubt:
        """Return what is doubted of a node once its marks were put back, if there are any to be and it has its turn."""
        seen: Seen = (place.cluster.lease_uid, NodeUID(node.metadata.uid))
        text = verdict.doubt
        if not verdict.patches:
            survey.doubts.end_tries(seen)
        elif not any(survey.is_busy(h.claim_uid) for h in holders):
            if survey.has_turn(seen):
                text = await self._mend(survey, place, NodeName(node.metadata.name), holders)
            elif survey.doubts.tried(seen):
                return survey.doubts.of(seen)
        return survey.doubts.take(seen, text, hash(verdict.strangers))

    async def _mend(
        self, survey: _Survey, place: Place, name: NodeName, holders: Iterable[Holder]
    ) -> str:
        """Put a node's marks back and tell its claims; return what is doubted instead."""
        cluster, lease = place.cluster, place.lease
        having = [survey.here[h.claim_uid] for h in holders if h.claim_uid in survey.here]
        outcome = await mend_node(cluster, lease, name, having, self._tools, survey.outlived)
        for claim in having if outcome.is_mended else ():
            message = f"marks of node {name} at {lease.spec.tenant_alias} were put back"
            self._tools.events.note(claim, EventReason.REPAIRED, message)
        return outcome.doubt

    @staticmethod
    def _reason(cluster: LeasedCluster, name: NodeName, *, in_doubt: bool) -> Reason | None:
        state = cluster.inventory().nodes.get(name)
        if in_doubt:
            return Reason.NODE_IN_DOUBT
        if cluster.is_foreign(name):
            return Reason.FOREIGN_POD
        return Reason.PROFILE_CHANGED if state is not None and state.unfit in _PROFILE else None

    async def _pods(self, place: Place, number: int, foreign: Collection[str]) -> None:
        """Look at the pods of a few of the lease's nodes: a foreign one keeps a node from being sold.

        `foreign`: nodes of claims that say so. This process looks there first.
        """
        uid = place.lease.metadata.uid
        ours = [n for n in place.cluster.nodes() if n.metadata.labels.get(LEASE_LABEL) == uid]
        before = self._pods_seen.get(place.cluster.lease_uid, {})
        seen = {u: before.get(u, 0) for u in (NodeUID(n.metadata.uid) for n in ours)}
        self._pods_seen[place.cluster.lease_uid] = seen
        ours.sort(key=lambda n: seen[NodeUID(n.metadata.uid)] or -(n.metadata.uid in foreign))
        for node in ours[:_PODS_OF_NODES]:
            seen[NodeUID(node.metadata.uid)] = number
            name = NodeName(node.metadata.name)
            # adoption looks again at a node that has some
            if not place.cluster.is_foreign(name) and await _has_foreign_pods(place, name):
                place.cluster.note_foreign(name, foreign=True)

    def _is_unwell(self, claim: GpuClaim, cluster_uid: ClusterUID, sight: Sight) -> bool:
        """Say whether something of a claim differs here, or did at the last look and may be well now."""
        if self._news.is_unwell(claim, cluster_uid):
            return True
        sites, _ = reachable_sites(claim, self._tools, allocation_of(claim).placements)
        here = [s for s in sites if s.cluster.facts.cluster_uid == cluster_uid]
        return any(
            self._differs(claim, site, sight)
            or not is_handed_over(claim, site)
            or is_astray(claim, site)
            for site in here
            if site.silent_beside is None
        )

    async def _has_lost_access(self, claim: GpuClaim, cluster_uid: ClusterUID) -> bool:
        """Say whether a claim's kubeconfig isn't as it was written; asked in some of the looks."""
        access = claim.status.access
        if access is None or (hash(claim.metadata.uid) + self._looks[cluster_uid]) % _SECRETS_IN:
            return False
        return await look_at_secret(self._tools.hub, claim, access) is not SecretState.FINE

    def _differs(self, claim: GpuClaim, site: Site, sight: Sight) -> bool:
        """Say whether a namespace isn't as it should be; not judged while a node of it isn't seen: unknown is not drift."""
        seen = sight.home(site.home.name)
        if seen.namespace is None or seen.is_ending or not seen.is_of(site.home.claim_uid):
            return True
        nodes = [(b.place.node_uid, b.cluster.node(NodeName(b.place.node))) for b in site.berths]
        if any(node is None or node.metadata.uid != uid for uid, node in nodes):
            return False
        return bool(drifted(claim, site, seen, self._tools))


async def _has_foreign_pods(place: Place, name: NodeName) -> bool:
    """Look at one node's pods; an answer that can't be read is no reason to look at nothing else of the cluster."""
    try:
        return await has_foreign_pods(place.cluster, name)
    except BadAnswer as error:
        log_about(lease=place.lease).warning("node not tended", node=name, error=str(error))
        return False


def _said_foreign(claims: Iterable[GpuClaim]) -> frozenset[str]:
    """Return the UIDs of the nodes of claims that say that a foreign pod is on one of them."""
    found = ((c, find_condition(c.status.conditions, "Degraded")) for c in claims)
    some = [c for c, said in found if said is not None and said.reason == Reason.FOREIGN_POD]
    return frozenset(place.node_uid for c in some for place in allocation_of(c).placements)


def left_by(lease: GpuLease) -> frozenset[ClaimUID]:
    """Return the claims that left something there by a person's word; it is known, and cleaned by that."""
    return frozenset(ClaimUID(left.claim_uid) for left in lease.status.leftovers)


async def find_orphans(
    sight: Sight,
    claims: Claims,
    strangers: Mapping[ClaimUID, Sequence[Entry]],
    left: Collection[ClaimUID],
    pace: Pace,
) -> tuple[Orphan, ...]:
    """Return what is there of claims that don't have it by what is known of the hub.

    What isn't a claim's UID is nobody's name, and a cluster that shows no end of them is not believed.
    """
    homes: dict[ClaimUID, list[str]] = defaultdict(list)
    async for name, uid, ends in pace.over(_marked_namespaces(sight)):
        is_ours = (
            name.startswith(f"sublet-{uid}-")
            and CLAIM_NAMESPACE.fullmatch(name) is not None
            and uid != PROBE_UID
            and uid not in left
        )
        if is_ours and not claims.has_home(name) and not (ends and uid not in strangers):
            homes[uid].append(name)
    uids = (u for u in sorted({*strangers, *homes}) if CLAIM_NAMESPACE.fullmatch(f"sublet-{u}-1"))
    return tuple(
        Orphan(uid, tuple(strangers.get(uid, ())), tuple(sorted(homes.get(uid, ()))))
        for uid in islice(uids, MOST_ORPHANS)
    )


def _marked_namespaces(sight: Sight) -> Iterator[tuple[str, ClaimUID, bool]]:
    """Yield each namespace's name, the claim that its label names, and whether it is ending."""
    for name, namespace in sight.namespaces.items():
        meta = namespace["metadata"]
        uid = ClaimUID((meta.get("labels") or {}).get(CLAIM_LABEL, ""))
        yield name, uid, meta.get("deletionTimestamp") is not None


def _gpus(node: Node) -> dict[ClaimUID, int]:
    """Return how many GPUs a node's book gives each claim; of one that only a label names it knows none."""
    try:
        entries = parse_book(node.metadata.annotations.get(BOOK, ""))
    except BookError:
        entries = ()
    return {e.claim_uid: e.gpus for e in entries}
