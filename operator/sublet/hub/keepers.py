"""Who keeps what a claim left in a lease's cluster: asked of the hub, live, before each step that destroys.

A watch may be behind, and what it doesn't show may be there. So the line on the lease and the claim are read anew each
time. Whether there is such a claim at all only a list of all can say, since nothing left names it; one list serves many
leftovers for a while, those that were known when it was asked for: of another the claim may be younger than the list. A
UID that the hub was seen without comes back only by a restore, of which the watch tells.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

from sublet.api.gpulease import GpuLease
from sublet.api.ids import ClusterUID, LeaseUID
from sublet.api.kinds import CLAIMS, LEASES
from sublet.api.last_word import Leftover
from sublet.api.move_status import all_nodes
from sublet.api.origin import former_uid, is_bare
from sublet.binder.claims import Unread, read
from sublet.binder.ports import Overtaken, Tools
from sublet.binder.sites import may_lead_to
from sublet.book.holdings import holds
from sublet.hub.unread_holder import holder_of
from sublet.kube.errors import NotFound
from sublet.kube.hub_lists import objects

_FRESH_SECONDS: Final = 60.0
"""So long one list of all claims serves."""
_Body = dict[str, Any]


class Keepers:
    """Live looks at the hub, for the leftovers of all leases."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._listing = asyncio.Lock()  # leases that are cleaned at once share a list
        self._paths: dict[str, list[str]] = {}  # UID by which claims go -> where they are
        self._listed_at: float | None = None  # monotonic seconds, when the list was asked for
        self._known_at: dict[str, float] = {}  # UID of a claim that left something -> since when

    def note(self, claim_uids: Iterable[str]) -> None:
        """Take note of all claims that left something, so that one list serves them all; any other is forgotten."""
        now = self._tools.clock.monotonic()
        self._known_at = {uid: self._known_at.get(uid, now) for uid in claim_uids}

    async def ask(self, lease: GpuLease, left: Leftover) -> None:
        """Raise Overtaken unless the lease still lists it and no claim has anything in that cluster; the hub's errors."""
        # leases can be listed and watched, and not be read by name
        named = {"fieldSelector": f"metadata.name={lease.metadata.name}"}
        leases = (await self._tools.hub.get(LEASES.path(), **named))["items"]
        same = [x for x in leases if x["metadata"]["uid"] == lease.metadata.own_uid]
        if not any(_lists(each, left) for each in same):
            raise Overtaken(f"{lease.spec.tenant_alias} doesn't list it any more")
        for path in await self._places(left.claim_uid):
            try:
                claim = await self._tools.hub.get(path)
            except NotFound:
                continue
            if former_uid(claim) != left.claim_uid:
                continue
            if is_bare(claim):
                raise Overtaken(
                    f"claim {left.claim_uid} was restored and doesn't say yet what it holds"
                )
            if any(self.may_be_there(lease, LeaseUID(uid)) for uid in _leases_of(claim)):
                raise Overtaken(f"claim {left.claim_uid} holds nodes there by the hub")

    def may_be_there(self, lease: GpuLease, uid: LeaseUID) -> bool:
        """Say whether what is held of a lease, by UID, may be in this one's cluster."""
        at = lease.status.cluster_uid
        return at is None or may_lead_to(self._tools.lease(uid), ClusterUID(at))

    async def _places(self, claim_uid: str) -> list[str]:
        """Return where claims are that go by a UID, or will once they are adopted."""
        known_at = self._known_at.setdefault(claim_uid, self._tools.clock.monotonic())
        async with self._listing:
            now = self._tools.clock.monotonic()
            oldest = max(known_at, now - _FRESH_SECONDS)
            if self._listed_at is None or self._listed_at < oldest:
                found: dict[str, list[str]] = defaultdict(list)
                async for each in objects(self._tools.hub, CLAIMS.path()):
                    meta = each["metadata"]
                    found[former_uid(each)].append(CLAIMS.path(meta["namespace"], meta["name"]))
                self._paths, self._listed_at = dict(found), now
        return self._paths.get(claim_uid, [])


def _lists(lease: _Body, left: Leftover) -> bool:
    listed = (lease.get("status") or {}).get("leftovers") or ()
    return any(each["claimUID"] == left.claim_uid for each in listed)


def _leases_of(raw: _Body) -> set[str]:
    """Return the UIDs of the leases of which a claim holds nodes, as far as that can be read."""
    try:
        claim = read(raw)
    except Unread:
        holder = holder_of("", raw)
        return set(holder.leases) if holder is not None else set()
    return {p.lease_uid for p in all_nodes(claim)} if holds(claim) else set()
