"""What an object is told that can't be read, and what a claim holds of which that is so.

Nothing of it is parsed, so its status is taken as it stands, and only what is said of it is changed. A lease, class or
tenant isn't there for anybody. A claim holds what its status names: a newer version may have promised it, and nobody can
say when it ends. A restored claim holds what its backup says until it is adopted. Called by the loop, and by the status
writer; nothing is written that is there already.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from sublet.api.claim_status import acknowledged
from sublet.api.common import Condition, is_true
from sublet.api.gpuclaim import ClaimStatus, GpuClaim
from sublet.api.ids import ClaimUID, TenantUID
from sublet.api.kinds import CLAIMS
from sublet.api.names import API_VERSION
from sublet.api.reading import SPEC_UNREAD
from sublet.api.times import Millis, format_instant
from sublet.book.holdings import held_by, is_billed
from sublet.book.steps import FOREVER
from sublet.book.unread import UnreadHolder
from sublet.hub.state import Shelf, Unread
from sublet.hub.unread_holder import conditions, part, statuses
from sublet.kube.session import JsonPatch

_LENGTH: Final = 1_024
_MOST_CONDITIONS: Final = 16
_OF_CLAIMS: Final = frozenset(
    {"Ready", "Reserved", "Bound", "Releasing", "Ended", "Reconciling", "Stalled", "Degraded"}
    | {"Reachable", "PriceExceeded", "Expiring", "AccessRenewed", "Adopted"}
)
"""Conditions of ours that claims have: work goes on by them."""


def namespaces_of_unread(tenants: Iterable[Unread]) -> dict[str, str]:
    """Return namespace -> name of the tenant that can't be read and names it."""
    found: dict[str, str] = {}
    for each in tenants:
        spec = each.body.get("spec")
        named = spec.get("namespaces") if isinstance(spec, Mapping) else None
        for namespace in named if isinstance(named, list) else ():
            found.setdefault(str(namespace), each.key)
    return found


def unread_holders(claims: Shelf[GpuClaim]) -> tuple[UnreadHolder, ...]:
    """Return the claims that hold something and can't be read as they are now.

    What was read of one before it holds as well: another replica may have moved it meanwhile.
    """
    found = (each.holder for each in claims.untaken())
    return tuple(_beyond(each, claims.named(each.key)) for each in found if each is not None)


def kept_holders(claims: Shelf[GpuClaim]) -> tuple[UnreadHolder, ...]:
    """Return all claims that hold something and of which nothing is planned, those too that wait to be adopted."""
    unread = unread_holders(claims)
    names = {each.key for each in unread}
    awaited = (_awaited_holder(c) for c in claims.awaited() if c.metadata.key not in names)
    return (*unread, *(each for each in awaited if each is not None))


def _awaited_holder(claim: GpuClaim) -> UnreadHolder | None:
    """Return what a claim holds that waits to be adopted, by its backup; None if that is nothing."""
    held = held_by(claim)
    if held is None:
        return None
    start = claim.spec.schedule.start_time if held.is_ahead else None
    is_leaving = is_true(claim.status.conditions, "Releasing")
    return UnreadHolder(
        key=claim.metadata.key,
        leases=frozenset(),
        classes=frozenset({claim.spec.class_name}),
        tenants=frozenset({TenantUID(held.tenant_uid)}),
        gpus=held.gpus,
        from_ms=start or Millis(0),
        bookings=held.bookings if start is not None and not is_leaving else (),
        until_ms=held.until_time if held.until_time is not None else FOREVER,
        price=Decimal(0) if is_leaving else held.price_per_gpu_hour,
        currency=held.currency,
        is_billed=is_billed(claim),
        awaited_uid=ClaimUID(claim.metadata.uid),
    )


def _beyond(each: UnreadHolder, known: GpuClaim | None) -> UnreadHolder:
    held = held_by(known) if known is not None else None
    return each if held is None else replace(each, gpus=max(0, each.gpus - held.gpus))


def told_patch(each: Unread, now_ms: Millis) -> JsonPatch | None:
    """Return the compare-and-set that tells a lease, class or tenant what is wrong with it, None if it was told."""
    text = f"it can't be read, and nothing is done by it until it is mended: {each.fault}"
    said = _told(each, {"Ready": "False"}, text[:_LENGTH], now_ms)
    if said is None:
        return None
    meta = part(each.body, "metadata")
    status = {**part(each.body, "status"), "conditions": said}
    return [
        {"op": "test", "path": "/metadata/uid", "value": meta.get("uid")},
        {"op": "test", "path": "/metadata/resourceVersion", "value": meta.get("resourceVersion")},
        {"op": "add", "path": "/status", "value": status},
    ]


def told_claim(each: Unread, now_ms: Millis) -> dict[str, Any] | None:
    """Return the claim to put in whose status is told what is wrong, None if it was told, has ended or waits to be adopted.

    Work on one that holds something goes on by its condition Ready, here or in a newer version: that stays as it is.
    """
    origin = part(part(each.body, "status"), "origin")
    if statuses(each.body).get("Ended") == "True" or (origin and "adoptedTime" not in origin):
        return None
    holds = each.holder is not None
    fresh = {"Stalled": "True"} if holds else {"Stalled": "True", "Ready": "False"}
    keeps = " but to keep what it holds," if holds else ""
    text = f"it can't be read, so nothing is done for it{keeps} until it is mended, or the version runs that wrote it: {each.fault}"
    if each.is_twin:
        text = (
            f"it holds nothing, and nothing is done for it: it {each.fault}; delete one of the two"
        )
    said = _told(each, fresh, text[:_LENGTH], now_ms)
    if said is None:
        return None
    meta = part(each.body, "metadata")
    return {
        "apiVersion": API_VERSION,
        "kind": CLAIMS.name,
        "metadata": {k: meta.get(k) for k in ("namespace", "name", "uid", "resourceVersion")},
        "status": {**part(each.body, "status"), "conditions": said},
    }


def word_key(each: Unread) -> str:
    """Return what the word that an object can't be read goes by: the rest of its status is another word."""
    return f"unread {part(each.body, 'metadata').get('uid')}"


def words_in(body: Mapping[str, Any]) -> list[tuple[Any, Any]]:
    """Return what an object says of itself that can't be read: (condition, message)."""
    return [
        (c.get("type"), c.get("message"))
        for c in conditions(body)
        if c.get("reason") == SPEC_UNREAD
    ]


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


def _told(
    each: Unread, fresh: Mapping[str, str], text: str, now_ms: Millis
) -> list[Mapping[str, Any]] | None:
    """Return an object's conditions with these as well, None if they are there."""
    found = conditions(each.body)
    before = {c.get("type"): c for c in found}
    known = (before.get(type_, {}) for type_ in fresh)
    said = [(c.get("status"), c.get("reason"), c.get("message")) for c in known]
    if said == [(status, SPEC_UNREAD, text) for status in fresh.values()]:
        return None
    others = [c for c in found if c.get("type") not in {*fresh, "Reconciling"}]
    kept = _fitted(others, _MOST_CONDITIONS - len(fresh))
    return [*kept, *(_condition(each, before, *item, text, now_ms) for item in fresh.items())]


def _fitted(found: list[Mapping[str, Any]], most: int) -> list[Mapping[str, Any]]:
    """Return as many conditions as there is room for; the last of those that work doesn't go by give way."""
    strange = [i for i, c in enumerate(found) if c.get("type") not in _OF_CLAIMS]
    left_out = set(strange[max(0, len(strange) - max(0, len(found) - most)) :])
    return [c for i, c in enumerate(found) if i not in left_out]


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
        "observedGeneration": part(each.body, "metadata").get("generation", 0),
        "lastTransitionTime": since or format_instant(now_ms),
    }
