"""What claims are to be told of drift: kept from looks and mendings, told by the loop until their conditions say it.

One condition, Degraded, is shared with the book: what it says of a failed node stands until it is over. What a process
before this one said stands until this one has looked for it wherever the claim is: unknown is not well.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping

from sublet.api.common import find_condition, is_true
from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import ClaimUID, ClusterUID, LeaseUID
from sublet.book.decisions import Degrade
from sublet.drift.claims import is_bound
from sublet.drift.finding import OF_MENDING, Finding, Reason, worst

_OURS = frozenset(r.value for r in Reason)
_Source = tuple[ClusterUID, LeaseUID | None]
"""A cluster, and the lease by which its nodes were looked at; None: what mending found there"""


class News:
    """Findings by claim and source."""

    def __init__(self) -> None:
        self._found: dict[ClaimUID, dict[_Source, tuple[Finding, ...]]] = defaultdict(dict)
        """claim -> where it was found -> what"""
        self._untold: set[ClaimUID] = set()
        self._mended: dict[ClusterUID, set[str]] = defaultdict(set)
        """cluster -> claims that this process has put right there, or tried to"""

    def note(self, uid: ClaimUID, cluster: ClusterUID, findings: tuple[Finding, ...]) -> None:
        """Take over what mending a claim in one cluster found, in place of what it found before."""
        self._mended[cluster].add(uid)
        self._put(uid, (cluster, None), findings)

    def note_nodes(
        self, uid: ClaimUID, cluster: ClusterUID, lease: LeaseUID, findings: tuple[Finding, ...]
    ) -> None:
        """Take over what a look at a claim's nodes of one lease found."""
        self._put(uid, (cluster, lease), findings)

    def keep(self, cluster: ClusterUID, here: Mapping[LeaseUID, Collection[str]]) -> None:
        """Forget what was found in a cluster of claims that have nothing there any more.

        `here`: those that may have, by lease; also of leases that can't be asked now.
        """
        anyhow = frozenset[str]().union(*here.values())
        self._mended[cluster].intersection_update(anyhow)
        for uid, found in list(self._found.items()):
            gone = [
                (at, lease)
                for at, lease in found
                if at == cluster and uid not in (anyhow if lease is None else here.get(lease, ()))
            ]
            for source in gone:
                del found[source]
            if gone:
                self._untold.add(uid)
            if not found:
                del self._found[uid]

    def forget(self, clusters: Collection[ClusterUID]) -> None:
        """Forget who was put right in all clusters but these."""
        for uid in self._mended.keys() - clusters:
            del self._mended[uid]

    def is_unwell(self, claim: GpuClaim, cluster: ClusterUID) -> bool:
        """Say whether the last mending left something to say, or the claim says so and this process hasn't mended it."""
        uid = ClaimUID(claim.metadata.uid)
        if self._found.get(uid, {}).get((cluster, None)):
            return True
        return _said(claim) in OF_MENDING and uid not in self._mended[cluster]

    def recall(self, claim: GpuClaim, clusters: Collection[ClusterUID]) -> None:
        """Look again at a claim that says something of drift, which another process may have said.

        Asked once this process looked at all clusters that the claim is in; what mending finds, once it tried that in each.
        """
        said, uid = _said(claim), ClaimUID(claim.metadata.uid)
        is_tried = said not in OF_MENDING or all(uid in self._mended[c] for c in clusters)
        if said in _OURS and is_tried:
            self._untold.add(uid)

    def sayings(
        self, claim_of: Callable[[ClaimUID], GpuClaim | None]
    ) -> Iterator[tuple[GpuClaim, Degrade]]:
        """Yield what claims' conditions don't say yet, or say still."""
        for uid in list(self._untold):
            claim = claim_of(uid)
            if claim is None or not is_bound(claim):
                self._found.pop(uid, None)
                self._untold.discard(uid)
            elif (saying := self._saying(claim)) is not None:
                yield claim, saying
            elif not self._waits(claim):
                self._untold.discard(uid)

    def _put(self, uid: ClaimUID, source: _Source, findings: tuple[Finding, ...]) -> None:
        before = self._found.get(uid, {}).get(source, ())
        if findings == before:
            return
        self._found[uid][source] = findings
        self._untold.add(uid)

    def _saying(self, claim: GpuClaim) -> Degrade | None:
        uid = ClaimUID(claim.metadata.uid)
        finding = worst(tuple(f for some in self._found.get(uid, {}).values() for f in some))
        said = find_condition(claim.status.conditions, "Degraded")
        degraded = is_true(claim.status.conditions, "Degraded")
        if degraded and said is not None and said.reason not in _OURS:
            return None
        if finding is None:
            return Degrade(uid, said.reason, "") if degraded and said is not None else None
        if (
            degraded
            and said is not None
            and (said.reason, said.message) == (finding.reason, finding.message)
        ):
            return None
        return Degrade(uid, finding.reason.value, finding.message)

    def _waits(self, claim: GpuClaim) -> bool:
        """Say whether something is to be said that another reason stands before."""
        said = find_condition(claim.status.conditions, "Degraded")
        found = self._found.get(ClaimUID(claim.metadata.uid), {})
        others = said is not None and said.reason not in _OURS
        return others and any(found.values())


def _said(claim: GpuClaim) -> str:
    """Return the reason for which a claim is Degraded, or was."""
    found = find_condition(claim.status.conditions, "Degraded")
    return found.reason if found is not None else ""
