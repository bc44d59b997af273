"""What a lease, class or tenant is told that can't be read and never was since the start: it isn't there for anybody.

Nothing of it is parsed, so its conditions are taken as they stand, and only `Ready` among them is changed. Called by
the status writer; nothing is written that is there already.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from sublet.api.reading import SPEC_UNREAD
from sublet.api.times import Millis, format_instant
from sublet.hub.state import Unread
from sublet.kube.session import JsonPatch

_LENGTH: Final = 1_024


def namespaces_of_unread(tenants: Iterable[Unread]) -> dict[str, str]:
    """Return namespace -> name of the tenant that can't be read and names it."""
    found: dict[str, str] = {}
    for each in tenants:
        spec = each.body.get("spec")
        named = spec.get("namespaces") if isinstance(spec, Mapping) else None
        for namespace in named if isinstance(named, list) else ():
            found.setdefault(str(namespace), each.key)
    return found


def words(fault: str) -> str:
    """Return what is said of an object that is left out as a whole."""
    return f"it can't be read, and nothing is done by it until it is mended: {fault}"[:_LENGTH]


def told_patch(each: Unread, now_ms: Millis) -> JsonPatch | None:
    """Return the compare-and-set that tells an object what is wrong with it, None if it was told."""
    meta: Mapping[str, Any] = each.body.get("metadata") or {}
    status: Mapping[str, Any] = each.body.get("status") or {}
    conditions: list[Mapping[str, Any]] = list(status.get("conditions") or ())
    before = next((c for c in conditions if c.get("type") == "Ready"), {})
    text = words(each.fault)
    if (before.get("status"), before.get("reason"), before.get("message")) == (
        "False",
        SPEC_UNREAD,
        text,
    ):
        return None
    was_false = before.get("status") == "False"
    ready = {
        "type": "Ready",
        "status": "False",
        "reason": SPEC_UNREAD,
        "message": text,
        "observedGeneration": meta.get("generation", 0),
        "lastTransitionTime": before["lastTransitionTime"] if was_false else format_instant(now_ms),
    }
    others = [c for c in conditions if c.get("type") != "Ready"]
    return [
        {"op": "test", "path": "/metadata/uid", "value": meta.get("uid")},
        {"op": "test", "path": "/metadata/resourceVersion", "value": meta.get("resourceVersion")},
        {"op": "add", "path": "/status", "value": {**status, "conditions": [*others, ready]}},
    ]
