"""What must be so when faults have ended and everything has come to rest: L1 to L4, A1."""

from collections.abc import Iterator

from sublet.ledger.chain import verify
from sublet.ledger.entry import Entry, EntryKind
from sublet.ledger.interval import BrokenLedger, Interval, intervals
from tests.simulation.views import ClaimView, Term, book_of
from tests.simulation.world import World, tokens_of


def find_unrest(world: World, terms: dict[tuple[str, int], Term]) -> Iterator[str]:
    """Yield what isn't as it must be."""
    claims = {c.uid: c for c in map(ClaimView, world.hub.store.all("gpuclaims"))}
    for claim in claims.values():
        yield from _claim(claim)
    yield from _books(world, claims)
    yield from _namespaces(world, claims)
    yield from _secrets(world, claims)
    yield from _idle(world, claims)
    yield from _ledger(world, terms)


def find_unsaid(world: World) -> Iterator[str]:
    """Yield what isn't said of a cluster that has more than a restored hub knows; only a person ends that."""
    claims = {c.uid: c for c in map(ClaimView, world.hub.store.all("gpuclaims"))}
    for lease in world.hub.store.all("gpuleases"):
        conditions = {c["type"]: c["status"] for c in lease["status"]["conditions"]}
        for node in world.leased[lease["metadata"]["name"]].store.all("nodes"):
            for uid in book_of(node):
                claim = claims.get(uid)
                is_known = claim is not None and node["metadata"]["uid"] in claim.nodes
                if not is_known and conditions.get("Orphaned") != "True":
                    yield f"L3: node {node['metadata']['name']} is held for {uid}, and nobody says so"
    if (fault := verify(*world.database.lines()).fault) is not None:
        yield f"A1: the ledger is broken: {fault}"


def _claim(claim: ClaimView) -> Iterator[str]:
    """L2, L4: bound, waiting with a reason, or ended; what is deleted goes."""
    who = f"claim {claim.namespace}/{claim.name} {claim.uid}"
    if claim.is_leaving:
        yield f"L4: {who} is deleted and doesn't go: {claim.conditions.get('Ready')}"
    elif claim.is_releasing:
        yield f"L1: {who} is releasing for ever: {claim.conditions.get('Ready')}"
    elif claim.is_true("Reserved") and not claim.is_true("Bound"):
        yield f"L1: {who} is reserved and never bound: {claim.conditions.get('Ready')}"
    elif not (claim.is_true("Bound") or claim.is_true("Ended") or claim.status.get("pending")):
        yield f"L2: {who} waits without a reason: {claim.conditions.get('Ready')}"
    if claim.status.get("move") or any(
        not x.get("freedTime") for x in claim.status.get("leaving") or ()
    ):
        yield f"L1: {who} is moving for ever"


def _books(world: World, claims: dict[str, ClaimView]) -> Iterator[str]:
    """L3: every entry has its claim, and every claim its entries."""
    for server in world.leased.values():
        for node in server.store.all("nodes"):
            for uid, gpus in book_of(node).items():
                name, claim = node["metadata"]["name"], claims.get(uid)
                place = claim.nodes.get(node["metadata"]["uid"]) if claim is not None else None
                if claim is None or not claim.holds or place is None or place["gpus"] != gpus:
                    yield f"L3: node {name} is held for {uid}, which doesn't hold it"
    for claim in claims.values():
        for place in claim.placements if claim.is_bound else ():
            found = world.leased[place["lease"]].store.get("nodes", "", place["node"])
            is_there = found is not None and found["metadata"]["uid"] == place["nodeUID"]
            if is_there and book_of(found).get(claim.uid) != place["gpus"]:
                yield f"L3: bound claim {claim.uid} isn't in the book of {place['node']}"


def _namespaces(world: World, claims: dict[str, ClaimView]) -> Iterator[str]:
    for server in world.leased.values():
        for namespace in server.store.all("namespaces"):
            name = namespace["metadata"]["name"]
            uid = (namespace["metadata"].get("labels") or {}).get("sublet.dev/claim")
            if uid is None:
                continue
            claim = claims.get(uid)
            if claim is None or not claim.holds or name not in claim.homes_at(server.name):
                yield f"L3: namespace {name} of {server.name} is nobody's"
    for claim in claims.values():
        for place in claim.placements if claim.is_bound else ():
            home = f"sublet-{claim.uid}-{place.get('home') or claim.sequence}"
            store = world.leased[place["lease"]].store
            if store.get("rolebindings", home, "sublet-tenant") is None:
                yield f"L5: bound claim {claim.uid} has no rights in {home}"


def _secrets(world: World, claims: dict[str, ClaimView]) -> Iterator[str]:
    for claim in claims.values():
        if claim.is_bound:
            name = (claim.status.get("access") or {}).get("secretName", "")
            secret = world.hub.store.get("secrets", claim.namespace, name)
            if secret is None:
                yield f"L5: bound claim {claim.uid} has no kubeconfig"
                continue
            for token in tokens_of(secret):
                if not any(s.lets_in(token) for s in world.leased.values()):
                    yield f"L5: bound claim {claim.uid} has a token that nobody accepts"


def _idle(world: World, claims: dict[str, ClaimView]) -> Iterator[str]:
    """L1: nobody waits alone for what is free: a whole node nobody holds, and one claim that one would do for."""
    waiting = [
        c
        for c in claims.values()
        if (c.status.get("pending") or {}).get("reason") == "WaitingForCapacity"
    ]
    if len(waiting) != 1 or waiting[0].spec["gpus"] > 8:
        return
    leases = {x["metadata"]["name"]: x["spec"] for x in world.hub.store.all("gpuleases")}
    for server in world.leased.values():
        if "endTime" in leases[server.name]["term"] or leases[server.name].get("maintenance"):
            continue
        used = {p["spec"].get("nodeName") for p in server.store.all("pods")}
        for node in server.store.all("nodes"):
            if not book_of(node) and node["metadata"]["name"] not in used:
                yield f"L1: claim {waiting[0].uid} waits and node {node['metadata']['name']} is free"


def _ledger(world: World, terms: dict[tuple[str, int], Term]) -> Iterator[str]:
    """A1: the chain is whole, and intervals are those that the recorded instants give, no more and no less."""
    entries, ids = world.database.lines()
    proof = verify(entries, ids)
    if proof.fault is not None:
        yield f"A1: the ledger is broken: {proof.fault}"
        return
    found: dict[tuple[str, int, EntryKind], set[tuple[int, int | None]]] = {}
    try:
        for each in intervals(e.fact for e in entries):
            found.setdefault(_key(each), set()).add((each.start_ms, each.end_ms))
    except BrokenLedger as broken:
        yield f"A1: {broken}"
    wanted: dict[tuple[str, int, EntryKind], set[tuple[int, int | None]]] = {}
    for (uid, sequence), term in terms.items():
        if term.bound is not None:
            wanted[uid, sequence, EntryKind.BOUND] = {(term.bound, term.released)}
        if term.released is not None:
            free = max(term.free, term.released) if term.free is not None else None
            wanted[uid, sequence, EntryKind.RELEASING] = {(term.released, free)}
        for _, begun, answered in term.outages:
            over = answered if answered is not None else term.released
            end = max(over, begun) if over is not None else None
            wanted.setdefault((uid, sequence, EntryKind.DISPUTED), set()).add((begun, end))
        for _, begun, over in term.downtimes:
            end = over if over is not None else term.released
            last = max(end, begun + 1) if end is not None else None
            wanted.setdefault((uid, sequence, EntryKind.DOWNTIME), set()).add((begun, last))
    yield from _unpriced(entries)
    for key in wanted.keys() | found.keys():
        if wanted.get(key) != found.get(key):
            yield f"A1: {key} is billed as {found.get(key)}, but the hub says {wanted.get(key)}"


def _unpriced(entries: list[Entry]) -> Iterator[str]:
    """A4: what is billed comes after what was agreed, and after what its lease and its tenant say of money."""
    said: set[tuple[str, int]] = set()
    subjects: set[str] = set()
    for entry in entries:
        fact = entry.fact
        if fact.kind is EntryKind.TERMS:
            said.add((fact.claim_uid, fact.sequence))
            subjects.add(fact.claim_uid)
        elif fact.kind is EntryKind.BOUND:
            if (fact.claim_uid, fact.sequence) not in said:
                yield f"A4: line {entry.seq} of {fact.claim_uid} comes before its terms"
            for uid in {fact.lease_uid, fact.tenant_uid} - subjects:
                yield f"A4: line {entry.seq} of {fact.claim_uid} comes before the terms of {uid}"


def _key(each: Interval) -> tuple[str, int, EntryKind]:
    return (each.claim_uid, each.sequence, each.kind)
