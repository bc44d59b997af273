"""What must hold after every committed write, read from the servers' content and the ledger's lines alone.

None of it asks the operator. S1 to S11 are the invariants of the design's reliability page; a violation ends the
history.
"""

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Final

from sublet.ledger.entry import MARKS, EntryKind, EntryType, Fact
from sublet.ledger.interval import BrokenLedger, Fold
from tests.simulation.answers import Request
from tests.simulation.audit import Audit
from tests.simulation.rest import find_unrest, find_unsaid
from tests.simulation.server import Server
from tests.simulation.store import Change, Key, Object
from tests.simulation.views import ClaimView, Term, book_of, claim_in
from tests.simulation.world import World

_NO_NEWS: Final = {"leases", "events"}
_OTHERS: Final = {"", "person", "tenant", "landlord", "scheduler"}
"""Who writes without being an operator."""
_ACCUSES: Final = "end all but one"
"""What is said of claims too many, never of what a restored cluster forgot of those that are rightly there."""
GPU: Final = "nvidia.com/gpu"


class Checks:
    """Follows every server and the ledger."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.calm_at = self.rested_at = 0.0
        self.terms: dict[tuple[str, int], Term] = {}  # (claim UID, sequence) -> its instants
        self._made: Counter[tuple[str, str]] = Counter()
        """(cluster, claim namespace) -> how often it was made"""
        self._fold = Fold()
        self._promised: set[tuple[str, str]] = (
            set()
        )  # (claim UID, UID of a node the hub ever gave it)
        self._billed: set[tuple[str, int]] = set()  # (claim UID, sequence) of which there are lines
        self._doubted: set[tuple[str, str]] = set()
        """(cluster, UID) of claims that held something there when it was restored: it may have forgotten them."""
        self._holders: set[str] = set()  # UIDs of claims that hold something by the hub
        self._unknown: set[str] = set()
        """UIDs of claims that held something when the hub was restored from a backup in which they aren't."""
        self._of_lost_hub: set[str] = set()
        """Operators that ended before the hub was restored: what of theirs is still under way was decided by what it knew then."""
        self._acts: dict[str, Callable[[Server, Change], None]] = {
            "gpuclaims": self._claim,
            "nodes": self._node,
            "namespaces": self._namespace,
        }
        for server in world.servers.values():
            server.store.followers.append(self._following(server))
            server.deleting = self._deleting(server)
            server.store.restored = partial(self._doubt, server)
        world.database.written = self._written
        self._audit = Audit(world)

    def at_rest(self) -> None:
        """Check what must be so when everything has come to rest."""
        if self.world.is_hub_older:
            for unsaid in find_unsaid(self.world):
                self.world.violate(unsaid)
            return
        for unrest in find_unrest(self.world, self.terms):
            self.world.violate(unrest)
        for fault in self._audit.find(settled=True):
            self.world.violate(f"verify {fault}")

    def close(self) -> None:
        """End what belongs to the checks."""
        self._audit.close()

    def _following(self, server: Server) -> Callable[[Change], None]:
        def follow(change: Change) -> None:
            if change.key.resource in _NO_NEWS:
                return
            if change.actor not in _OTHERS:
                self.world.writes += 1
                self.world.last_write_at = self.world.loop.time()
            act = self._acts.get(change.key.resource)
            if act is not None:
                act(server, change)
            self._verify()

        return follow

    def _verify(self) -> None:
        """Read the whole world by the checker that ships, as it is after this write.

        It compares with the hub, so it has nothing to say of one that is older than everything else.
        """
        if self.world.is_hub_older:
            return
        forgotten: set[tuple[str, str]] = set()
        for fault in self._audit.find(settled=False):
            cluster = fault.subject.partition(" ")[2].partition("/")[0]
            lacks = {(cluster, uid) for uid in fault.about}
            is_gone = fault.id in ("S1", "S4", "S6") and _ACCUSES not in fault.message
            if is_gone and lacks and lacks <= self._doubted:
                forgotten |= lacks
            else:
                self.world.violate(f"verify {fault}")
        if self._doubted:
            self._trust(forgotten)

    # clusters that were restored from a backup

    def _doubt(self, server: Server) -> None:
        """Expect of what claims hold in a restored cluster only what the hub says of it, until it is mended."""
        if server is self.world.hub:
            there = {body["metadata"]["uid"] for body in server.store.all("gpuclaims")}
            self._unknown |= self._holders - there
            self._of_lost_hub |= self.world.network.dead
            return
        held = [c for c in map(ClaimView, self.world.hub.store.all("gpuclaims")) if c.holds]
        self._doubted |= {(server.name, claim.uid) for claim in held}

    def _trust(self, forgotten: set[tuple[str, str]]) -> None:
        """Expect everything again of what is as it must be."""
        claims = map(ClaimView, self.world.hub.store.all("gpuclaims"))
        well = {c.uid for c in claims if c.is_bound}
        self._doubted = {d for d in self._doubted if d in forgotten or d[1] not in well}

    # the hub's claims

    def _claim(self, server: Server, change: Change) -> None:
        now = ClaimView(change.after)
        self._holders.discard(now.uid)
        if change.type != "DELETED" and now.holds:
            self._holders.add(now.uid)
        if self.world.is_hub_older:
            self._promise(now)
            return
        before = ClaimView(change.before) if change.before is not None else None
        if change.type == "DELETED":
            if before is not None and before.holds:
                self.world.violate(f"claim {before.uid} is gone while it holds GPUs")
            if before is not None:
                self._see_billed(before)
            return
        self._see_terms(now)
        self._promise(now)
        if now.is_bound and not (before is not None and before.is_bound):
            self._see_handed_over(now)
        if before is not None and before.holds and not now.holds:
            self._see_free(before)
        if before is not None and before.is_bound and now.sequence == before.sequence:
            for field in ("tenantUID", "pricePerGpuHour", "priceHash", "tags"):
                if before.allocation.get(field) != now.allocation.get(field):
                    self.world.violate(f"S11: {field} of bound claim {now.uid} changed")

    def _promise(self, claim: ClaimView) -> None:
        self._promised |= {(claim.uid, node_uid) for node_uid in claim.nodes}

    def _see_terms(self, claim: ClaimView) -> None:
        """Note the instants of each reservation; none that was written ever changes."""
        for term in claim.terms():
            known = self.terms.get((claim.uid, term.sequence))
            for name in ("bound", "released", "free") if known is not None else ():
                old = getattr(known, name)
                if old is not None and getattr(term, name) != old:
                    self.world.violate(
                        f"A1: {name} of claim {claim.uid} sequence {term.sequence} changed "
                        f"from {old} to {getattr(term, name)}"
                    )
            self.terms[claim.uid, term.sequence] = term

    def _see_handed_over(self, claim: ClaimView) -> None:
        """S1, S4: a claim that is handed over has its nodes' books, its namespace and its quota."""
        for place in claim.placements:
            server = self.world.leased[place["lease"]]
            node = server.store.get("nodes", "", place["node"])
            home = f"sublet-{claim.uid}-{place.get('home') or claim.sequence}"
            if node is None or node["metadata"]["uid"] != place["nodeUID"]:
                continue  # lost since it was locked
            if (server.name, claim.uid) in self._doubted:
                continue  # it forgot what had been made, which is made again
            if book_of(node).get(claim.uid) != place["gpus"]:
                self.world.violate(f"S1: {claim.uid} is Bound without the book of {place['node']}")
            if (times := self._made[server.name, home]) != 1:
                self.world.violate(f"S4: namespace {home} was made {times} times")
            namespace = server.store.get("namespaces", "", home)
            if namespace is None or "deletionTimestamp" in namespace["metadata"]:
                self.world.violate(f"S4: {claim.uid} is Bound without namespace {home}")
            quota = server.store.get("resourcequotas", home, "sublet") or {}
            if not (quota.get("status") or {}).get("hard"):
                self.world.violate(f"S4: {claim.uid} is Bound before its quota is in force")
            if server.store.get("networkpolicies", home, "sublet") is None:
                self.world.violate(f"S4: {claim.uid} is Bound without a network policy")

    def _see_free(self, claim: ClaimView) -> None:
        """S6: what a claim no longer holds is free already."""
        for uid, place in claim.nodes.items():
            server = self.world.leased[place["lease"]]
            if (server.name, claim.uid) in self._doubted:
                continue  # an entry that was taken off came back with the backup
            node = server.store.get("nodes", "", place["node"])
            if node is not None and node["metadata"]["uid"] == uid and claim.uid in book_of(node):
                self.world.violate(
                    f"S6: {claim.uid} holds nothing, but is in {place['node']}'s book"
                )
        self._doubted = {d for d in self._doubted if d[1] != claim.uid}

    def _see_billed(self, claim: ClaimView) -> None:
        """A claim goes only when its lines are in the ledger."""
        term = self.terms.get((claim.uid, claim.sequence))
        if term is None or term.bound is None:
            return
        open_now = [k for k in self._fold.open if k[0] == claim.uid]
        if open_now:
            self.world.violate(f"A1: claim {claim.uid} is gone with open lines {open_now}")
        if (claim.uid, claim.sequence) not in self._billed:
            self.world.violate(f"A1: claim {claim.uid} is gone and was never billed")

    # leased clusters

    def _node(self, server: Server, change: Change) -> None:
        if change.type == "DELETED":
            return
        name = change.key.name
        try:
            book = book_of(change.after)
            before = book_of(change.before) if change.before is not None else {}
        except ValueError as error:
            self.world.violate(f"S1: node {name}: {error}")
            return
        gpus = int(change.after["status"]["allocatable"][GPU])
        if set(book) - set(before):
            self._see_promised(change, set(book) - set(before))
            if sum(book.values()) > gpus:
                self.world.violate(f"S1: node {name} has {gpus} GPUs and is sold as {book}")
            self._see_sharing(change.after, book)
            if change.actor not in self._of_lost_hub:
                self._see_forgotten(server, change.after, book)
            self._see_empty(server, name, book)
        for uid in set(before) - set(book):
            if change.actor not in self._of_lost_hub:
                self._see_let_go(change.after, uid, change.actor)
            self._see_left(server, change.after, uid, change.actor)

    def _see_promised(self, change: Change, claims: set[str]) -> None:
        """S8: a node is told by its UID; one that was made anew under the name is another."""
        node = change.after["metadata"]
        for uid in claims:
            if change.actor not in _OTHERS and (uid, node["uid"]) not in self._promised:
                self.world.violate(
                    f"S8: node {node['name']} of {uid} isn't the one it was promised"
                )

    def _see_sharing(self, node: Object, book: dict[str, int]) -> None:
        sharing = node["metadata"]["annotations"].get("sublet.dev/sharing", "None")
        name = node["metadata"]["name"]
        if sharing == "None" and len(book) > 1:
            self.world.violate(f"S1: node {name} may hold one claim and holds {sorted(book)}")
        if sharing == "SameTenant":
            tenants = {c.allocation.get("tenantUID") for u in book if (c := self._claim_of(u))}
            if len(tenants) > 1:
                self.world.violate(f"S1: node {name} is shared by {sorted(map(str, tenants))}")

    def _see_forgotten(self, server: Server, node: Object, book: dict[str, int]) -> None:
        """S1: what a claim is bound to is sold to nobody else, also where the node itself has forgotten it."""
        bound: dict[str, int] = {}
        for body in self.world.hub.store.all("gpuclaims"):
            claim = ClaimView(body)
            for place in claim.placements if claim.is_bound and claim.uid not in book else ():
                if place["nodeUID"] == node["metadata"]["uid"]:
                    bound[claim.uid] = place["gpus"]
        gpus = int(node["status"]["capacity"][GPU])
        if bound and sum(bound.values()) + sum(book.values()) > gpus:
            self.world.violate(
                f"S1: node {node['metadata']['name']} of {server.name} is sold as {book}, but {bound} are bound to it"
            )

    def _see_empty(self, server: Server, name: str, book: dict[str, int]) -> None:
        """S6: nobody gets a node under whose name pods of somebody else still run."""
        for pod in server.store.all("pods"):
            namespace = pod["metadata"]["namespace"]
            if pod["spec"].get("nodeName") == name and claim_in(namespace) not in book:
                self.world.violate(f"S6: node {name} is sold under a pod of {namespace}")

    def _see_let_go(self, node: Object, uid: str, actor: str) -> None:
        """S1, S9: an entry never goes from under a bound claim, nor because a restored hub doesn't know whose it is."""
        name = node["metadata"]["name"]
        claim = self._claim_of(uid)
        bound = claim.placements if claim is not None and claim.is_bound else ()
        if node["metadata"]["uid"] in {p["nodeUID"] for p in bound}:
            self.world.violate(f"S1: {actor} took bound claim {uid} off node {name}")
        if uid in self._unknown:
            self.world.violate(
                f"S9: {actor} took {uid} off node {name}, of which a restored hub knows nothing"
            )

    def _see_left(self, server: Server, node: Object, uid: str, actor: str) -> None:
        """S6: an entry goes only when no pod is left."""
        name = node["metadata"]["name"]
        for pod in server.store.all("pods"):
            home = pod["metadata"]["namespace"]
            own = home.startswith(f"sublet-{uid}-") and (server.name, uid) not in self._doubted
            if own and pod["spec"].get("nodeName") == name:
                self.world.violate(f"S6: {actor} freed node {name} under a pod of {uid}")

    def _namespace(self, server: Server, change: Change) -> None:
        if change.type == "ADDED" and change.key.name.startswith("sublet-"):
            self._made[server.name, change.key.name] += 1

    def _deleting(self, server: Server) -> Callable[[Key, Object, Request], None]:
        """S7, S9: nothing of a bound claim is destroyed, and nothing that isn't a claim's."""

        def look(key: Key, live: Object, request: Request) -> None:
            if request.actor in _OTHERS or server is self.world.hub:
                return
            home = key.name if key.resource == "namespaces" else key.namespace
            if not home.startswith("sublet-"):
                self.world.violate(f"S9: {request.actor} deletes {key}")
                return
            claim = (
                self._claim_of(claim_in(home)) if request.actor not in self._of_lost_hub else None
            )
            if claim is None or not claim.is_bound or home not in claim.homes_at(server.name):
                return
            nodes = {p["node"] for p in claim.placements}
            if key.resource == "serviceaccounts":
                return  # made anew where a token may be in the wrong hands; at rest there is one that counts
            if key.resource != "pods" or live["spec"].get("nodeName") in nodes:
                self.world.violate(f"S7: {request.actor} deletes {key} of bound claim {claim.uid}")

        return look

    # the ledger

    def _written(self, facts: list[Fact]) -> None:
        """A1: lines agree with the instants that the hub recorded, and give intervals."""
        for fact in facts:
            try:
                self._fold.take(fact)
            except BrokenLedger as broken:
                self.world.violate(f"A1: {broken}")
            if self.world.is_hub_older:
                continue  # it forgot instants that the ledger has
            is_claims = fact.tenant_uid and str(fact.claim_uid) != str(fact.tenant_uid)
            if fact.kind in MARKS and not is_claims:
                continue  # of an object: what it says is looked at when all is at rest
            term = self.terms.get((fact.claim_uid, fact.sequence))
            wanted = _instant(term, fact) if term is not None else None
            if fact.kind is EntryKind.BOUND:
                self._billed.add((fact.claim_uid, fact.sequence))
            if wanted != fact.at_ms:
                self.world.violate(
                    f"A1: {fact.kind} {fact.type} of claim {fact.claim_uid} sequence "
                    f"{fact.sequence} at {fact.at_ms}, but the hub says {wanted}"
                )
        self._verify()

    def _claim_of(self, uid: str) -> ClaimView | None:
        for body in self.world.hub.store.all("gpuclaims"):
            if body["metadata"]["uid"] == uid:
                return ClaimView(body)
        return None


def _instant(term: Term, fact: Fact) -> int | None:
    """Return the recorded instant that a line must carry."""
    if fact.kind is EntryKind.DISPUTED:
        return term.outage(fact.lease_uid, fact.type is EntryType.OPEN, fact.at_ms)
    if fact.kind is EntryKind.DOWNTIME:
        return term.downtime(fact.lease_uid, fact.type is EntryType.OPEN, fact.at_ms)
    if fact.kind is EntryKind.TERMS:
        return term.decided
    if fact.kind is EntryKind.BOUND:
        return term.bound if fact.type is EntryType.OPEN else term.released
    if fact.type is EntryType.OPEN:
        return term.released
    return max(term.free, term.released or 0) if term.free is not None else None
