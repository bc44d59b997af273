"""`sublet adopt`: a person's word that restored objects are the ones they were before.

`--map` shows old and new UID of each, and what the nodes' own books say; `--yes DIGEST` agrees to exactly that map.
Nothing in a leased cluster is written: an adopted object goes by its old UID, by which nodes, namespaces, pods and the
ledger know it. Each object is one compare-and-set on the hub, so it may stop anywhere and be run again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sublet.api import claim_status
from sublet.api.common import Condition, Status
from sublet.api.gpuclaim import Allocation, ClaimStatus, GpuClaim, Release
from sublet.api.gpulease import GpuLease, LeaseStatus
from sublet.api.gputenant import GpuTenant
from sublet.api.kinds import CLAIMS, LEASES, TENANTS
from sublet.api.origin import ADOPTED, former_uid, is_awaited
from sublet.api.reading import Unreadable, read_claim
from sublet.api.relocation import ReleaseCause
from sublet.api.times import Millis
from sublet.cli.connect import Cluster
from sublet.cli.keeping.archive import Body, key_of
from sublet.cli.keeping.catching_up import caught_up
from sublet.cli.keeping.mapping import (
    Hub,
    Item,
    Row,
    Term,
    Unread,
    Verdict,
    identity_of,
    make_map,
)
from sublet.cli.keeping.possession import Possession, read_possession
from sublet.cli.objects import list_raw
from sublet.cli.problems import Problem
from sublet.kube.errors import Conflict, Invalid

_DUMP: Final[dict[str, Any]] = {"mode": "json", "by_alias": True, "exclude_none": True}


@dataclass(frozen=True, slots=True)
class Word:
    """Who says yes, and when."""

    by: str
    at_ms: Millis


async def read_map(
    hub: Cluster, namespace: str, terms: Mapping[str, Term] | None = None
) -> tuple[list[Row], Hub, dict[str, Possession]]:
    """Read the hub and the leased clusters; return the map, by them and what the ledger has, and what it was made from."""
    tenants = [GpuTenant.model_validate(x) for x in await list_raw(hub, TENANTS.path())]
    claims = [_read(x) for x in await list_raw(hub, CLAIMS.path())]
    leases = [GpuLease.model_validate(x) for x in await list_raw(hub, LEASES.path())]
    found = Hub(
        sorted(tenants, key=_key),
        sorted((c for c in claims if isinstance(c, GpuClaim)), key=_key),
        sorted(leases, key=_key),
        sorted((c for c in claims if isinstance(c, Unread)), key=lambda c: c.key),
    )
    seen = {}
    for lease in found.leases:
        uid = identity_of(lease.metadata, lease.status.origin)
        seen[uid] = await read_possession(hub, lease, uid, namespace)
    return make_map(found, seen, terms), found, seen


def _read(raw: Body) -> GpuClaim | Unread:
    """Return a claim, by what it holds if its spec can't be read; one tenant's claim is no other's trouble."""
    try:
        return read_claim(raw)
    except Unreadable as error:
        meta = raw["metadata"]
        why = f"it can't be read, and stays held: {error}"
        return Unread(key_of(raw), former_uid(raw), meta["uid"], why, is_awaited(raw))


async def adopt(hub: Cluster, row: Row, word: Word) -> None:
    """Adopt one object."""
    meta = row.item.metadata
    path = f"{row.kind.path(meta.namespace, meta.name)}/status"
    status = adopted_status(row, word).model_dump(**_DUMP)
    try:
        await hub.patch(
            path,
            [
                {"op": "test", "path": "/metadata/uid", "value": meta.own_uid},
                {"op": "test", "path": "/metadata/resourceVersion", "value": meta.resource_version},
                {"op": "add", "path": "/status", "value": status},
            ],
        )
    except (Conflict, Invalid) as error:
        raise Problem(
            f"{row.kind.name} {row.key} changed meanwhile; look at the map again ({error.message})"
        ) from error


def adopted_status(row: Row, word: Word) -> Any:
    """Return the whole status with which an object goes on."""
    item: Item = row.item
    origin = item.status.origin
    if origin is None:
        raise ValueError(f"{row.key} wasn't restored completely")
    said = origin.model_copy(update={"adopted_time": word.at_ms, "adopted_by": word.by[:1024]})
    update = {"origin": said, "conditions": _conditions(item.status.conditions, word.at_ms)}
    status = item.status.model_copy(update=update)
    if isinstance(status, LeaseStatus) and row.is_seen and status.last_seen_time is not None:
        # it answered just now, whatever it did when the backup was taken
        return status.model_copy(update={"last_seen_time": word.at_ms})
    if not isinstance(item, GpuClaim) or not isinstance(status, ClaimStatus):
        return status
    if row.term is not None:
        status = caught_up(status, row.term.outages, row.term.downtimes, row.term.given_up)
    claim = item.model_copy(update={"status": status})
    if row.verdict is Verdict.END:
        return _ended(claim, word.at_ms, row.release_ms, row.term)
    if status.access is None:
        return status
    # no Secret is in a backup: the operator writes the tenant's anew at once
    update = {"renewal_time": word.at_ms, "secret_version": None}
    access = status.access.model_copy(update=update)
    return status.model_copy(update={"access": access})


def _ended(
    claim: GpuClaim, now_ms: Millis, release_ms: Millis | None, term: Term | None
) -> ClaimStatus:
    """Return the status of a claim that was released after the backup.

    If the ledger has its end, nothing of it may be written again; a release that had begun goes on from `release_ms`.
    Else its meter stops where it was last known to be bound, when the backup was taken, and the operator releases what
    there may be left: a ledger that has no line of the reservation is older than it, and gets them all.
    """
    allocation, origin = claim.status.allocation, claim.status.origin
    goes_on = release_ms is not None or _lacks_end(allocation, term)
    if goes_on and allocation is not None and origin is not None:
        known = Millis(max(origin.backup_time, allocation.bound_time or origin.backup_time))
        at_ms = release_ms if release_ms is not None else known
        release = Release(
            cause=ReleaseCause.DELETED, release_time=at_ms, sequence=allocation.sequence
        )
        return claim_status.releasing(claim, release, now_ms)
    reason = ReleaseCause.DELETED.value
    return claim_status.next_status(
        claim,
        now_ms,
        ready=(
            Status.TRUE,
            reason,
            "the claim was released after the backup; the ledger has its end",
        ),
        progress=None,
        states={
            "Reserved": (Status.FALSE, reason),
            "Bound": (Status.FALSE, reason),
            "Ended": (Status.TRUE, reason),
        },
        update={"allocation": None, "access": None, "move": None, "leaving": ()},
    )


def _lacks_end(allocation: Allocation | None, term: Term | None) -> bool:
    """Say whether a reservation was billed and the ledger, of which `term` is the last, hasn't its end."""
    if allocation is None or allocation.bound_time is None:
        return False
    return term is None or term.end_ms is None or term.sequence < allocation.sequence


def _conditions(before: tuple[Condition, ...], now_ms: Millis) -> tuple[Condition, ...]:
    said = Condition(
        type=ADOPTED,
        status=Status.TRUE,
        reason="Adopted",
        message="it goes by the UID that it had before",
        last_transition_time=now_ms,
    )
    return (*(c for c in before if c.type != ADOPTED), said)


def _key(item: Item) -> str:
    return item.metadata.key
