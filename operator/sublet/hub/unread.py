"""What an object is told that can't be read, and what a claim holds of which that is so.

Nothing of it is parsed, so its status is taken as it stands, and only what is said of it is changed. A lease, class or
tenant isn't there for anybody. A claim holds what its status names: a newer version may have promised it, and nobody can
say when it ends. Called by the status writer; nothing is written that is there already.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sublet.api.claim_status import acknowledged
from sublet.api.common import Condition
from sublet.api.gpuclaim import ClaimStatus, GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.kinds import CLAIMS
from sublet.api.names import API_VERSION
from sublet.api.reading import SPEC_UNREAD
from sublet.api.times import Millis, format_instant
from sublet.hub.state import Unread
from sublet.kube.session import JsonPatch

_LENGTH: Final = 1_024
_HOLDS_NOTHING: Final = frozenset({"conditions", "pending", "offers", "outages", "downtimes"})
"""Of a claim's status: what is only told, or has been."""


@dataclass(frozen=True, slots=True)
class UnreadHolder:
    """What is named by the status of a claim that can't be read."""

    key: str
    leases: frozenset[str]
    """UIDs"""
    classes: frozenset[str]
    tenants: frozenset[str]
    """UIDs"""


def namespaces_of_unread(tenants: Iterable[Unread]) -> dict[str, str]:
    """Return namespace -> name of the tenant that can't be read and names it."""
    found: dict[str, str] = {}
    for each in tenants:
        spec = each.body.get("spec")
        named = spec.get("namespaces") if isinstance(spec, Mapping) else None
        for namespace in named if isinstance(named, list) else ():
            found.setdefault(str(namespace), each.key)
    return found


def unread_holders(claims: Iterable[Unread]) -> list[UnreadHolder]:
    """Return the claims that hold something, by their statuses as they stand."""
    found = (_holder(each) for each in claims if not each.is_twin)
    return [each for each in found if each is not None]


def open_leases(leases: Iterable[GpuLease], claims: Iterable[Unread]) -> tuple[GpuLease, ...]:
    """Return the leases; those of which a claim that can't be read holds something take nothing new."""
    named = {uid for each in unread_holders(claims) for uid in each.leases}
    return tuple(_closed(x) if x.metadata.uid in named else x for x in leases)


def told_patch(each: Unread, now_ms: Millis) -> JsonPatch | None:
    """Return the compare-and-set that tells a lease, class or tenant what is wrong with it, None if it was told."""
    text = f"it can't be read, and nothing is done by it until it is mended: {each.fault}"
    conditions = _told(each, {"Ready": "False"}, text[:_LENGTH], now_ms)
    if conditions is None:
        return None
    meta = _part(each.body, "metadata")
    status = {**_part(each.body, "status"), "conditions": conditions}
    return [
        {"op": "test", "path": "/metadata/uid", "value": meta.get("uid")},
        {"op": "test", "path": "/metadata/resourceVersion", "value": meta.get("resourceVersion")},
        {"op": "add", "path": "/status", "value": status},
    ]


def told_claim(each: Unread, now_ms: Millis) -> dict[str, Any] | None:
    """Return the claim to put in whose status is told what is wrong, None if it was told, has ended or waits to be adopted.

    Work on one that holds something goes on by its condition Ready, here or in a newer version: that stays as it is.
    """
    origin = _part(_part(each.body, "status"), "origin")
    if _statuses(each.body).get("Ended") == "True" or (origin and "adoptedTime" not in origin):
        return None
    holds = _holder(each) is not None
    fresh = {"Stalled": "True"} if holds else {"Stalled": "True", "Ready": "False"}
    keeps = " but to keep what it holds," if holds else ""
    text = f"it can't be read, so nothing is done for it{keeps} until it is mended, or the version runs that wrote it: {each.fault}"
    conditions = _told(each, fresh, text[:_LENGTH], now_ms)
    if conditions is None:
        return None
    meta = _part(each.body, "metadata")
    return {
        "apiVersion": API_VERSION,
        "kind": CLAIMS.name,
        "metadata": {k: meta.get(k) for k in ("namespace", "name", "uid", "resourceVersion")},
        "status": {**_part(each.body, "status"), "conditions": conditions},
    }


def is_caught_up(claim: GpuClaim) -> bool:
    """Say whether a claim's status describes its spec as it is now, and no more says that it can't be read."""
    status = claim.status
    is_seen = status.observed_generation == claim.metadata.generation
    return is_seen and not any(_is_word(c) for c in status.conditions)


def caught_up(claim: GpuClaim) -> ClaimStatus:
    """Return the status of a claim that is as it was, once it or its spec is read anew."""
    status = acknowledged(claim)
    conditions = tuple(c for c in status.conditions if not _is_word(c))
    return status.model_copy(update={"conditions": conditions})


def _is_word(condition: Condition) -> bool:
    return condition.type == "Stalled" and condition.reason == SPEC_UNREAD


def _closed(lease: GpuLease) -> GpuLease:
    spec = lease.spec.model_copy(update={"accepting_claims": False})
    return lease.model_copy(update={"spec": spec})


def _holder(each: Unread) -> UnreadHolder | None:
    """Return what a claim holds, None if it names nothing, or says that it is free."""
    said = _statuses(each.body)
    if said.get("Reserved") == "False" and said.get("Releasing") != "True":
        return None
    status = _part(each.body, "status")
    held = {k: v for k, v in status.items() if k not in _HOLDS_NOTHING}
    leases, tenants = frozenset(_named(held, "leaseUID")), frozenset(_named(held, "tenantUID"))
    if not leases and not tenants:
        return None
    classes = {*_named(held, "className"), *_named(_part(each.body, "spec"), "className")}
    return UnreadHolder(each.key, leases, frozenset(classes), tenants)


def _named(value: Any, name: str) -> Iterator[str]:
    """Yield what stands under a name, at any depth but in what is free again."""
    if isinstance(value, Mapping) and "freedTime" not in value:
        for key, inner in value.items():
            if key == name and inner and isinstance(inner, str):
                yield inner
            yield from _named(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _named(inner, name)


def _part(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = body.get(name)
    return part if isinstance(part, Mapping) else {}


def _conditions(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = _part(body, "status").get("conditions")
    return [c for c in found if isinstance(c, Mapping)] if isinstance(found, list) else []


def _statuses(body: Mapping[str, Any]) -> dict[Any, Any]:
    return {c.get("type"): c.get("status") for c in _conditions(body)}


def _told(
    each: Unread, fresh: Mapping[str, str], text: str, now_ms: Millis
) -> list[Mapping[str, Any]] | None:
    """Return an object's conditions with these as well, None if they are there."""
    conditions = _conditions(each.body)
    before = {c.get("type"): c for c in conditions}
    known = (before.get(type_, {}) for type_ in fresh)
    said = [(c.get("status"), c.get("reason"), c.get("message")) for c in known]
    if said == [(status, SPEC_UNREAD, text) for status in fresh.values()]:
        return None
    others = [c for c in conditions if c.get("type") not in {*fresh, "Reconciling"}]
    return [*others, *(_condition(each, before, *item, text, now_ms) for item in fresh.items())]


def _condition(
    each: Unread,
    before: Mapping[Any, Mapping[str, Any]],
    type_: str,
    status: str,
    text: str,
    now_ms: Millis,
) -> dict[str, Any]:
    known = before.get(type_, {})
    since = known.get("lastTransitionTime") if known.get("status") == status else None
    return {
        "type": type_,
        "status": status,
        "reason": SPEC_UNREAD,
        "message": text,
        "observedGeneration": _part(each.body, "metadata").get("generation", 0),
        "lastTransitionTime": since or format_instant(now_ms),
    }
