"""How these tests ask the hub: bodies with a field changed, dry runs, statuses set as the operator would."""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import uuid4

from tests.harness.admin import Refused
from tests.harness.stack import Stack
from tests.integration.api.crds import values_at

Body = dict[str, Any]


def change(body: Body, path: str, value: Any) -> Body:
    """Return a copy with one field of spec set, or taken out where value is None; `[]` is each item of a list."""
    body = copy.deepcopy(body)
    before, each, after = path.partition("[].")
    if each:
        for index in range(len(values_at(body["spec"], before)[0])):
            body = change(body, f"{before}.{index}.{after}", value)
        return body
    *parents, last = path.split(".")
    at = body["spec"]
    for part in parents:
        at = at[int(part)] if part.isdigit() else at.setdefault(part, {})
    if value is None:
        del at[last]
    else:
        at[last] = value
    return body


def named(body: Body, name: str) -> Body:
    """Return a copy of another name."""
    return {**body, "metadata": {**body["metadata"], "name": name}}


def new_name() -> str:
    """Return a name that no other test uses."""
    return f"x{uuid4().hex[:12]}"


def try_create(hub: Stack, body: Body) -> str:
    """Return what the server says to a new object, as kubectl puts it; nothing is stored."""
    return _said(lambda: hub.admin("hub").create(body, dryRun="All"), "created (server dry run)")


def try_apply(hub: Stack, body: Body) -> str:
    """Return what the server says to a server-side apply without force; nothing is stored."""
    ask = partial(hub.admin("hub").apply, body, force="false", dryRun="All")
    return _said(ask, "serverside-applied (server dry run)")


def apply(hub: Stack, body: Body, manager: str = "kubectl", *, subresource: str = "") -> str:
    """Return what the server says to a server-side apply; other managers' fields are never taken by force."""
    ask = partial(hub.admin("hub").apply, body, subresource, force="false", fieldManager=manager)
    return _said(ask, "serverside-applied")


def _said(ask: Callable[[], object], done: str) -> str:
    try:
        ask()
    except Refused as refused:
        return f"{refused}\n"
    return f"{done}\n"


def set_status(hub: Stack, body: Body, status: dict[str, Any]) -> None:
    """Merge into an object's status as the operator would."""
    hub.admin("hub").merge(body, {"status": status}, "/status")


def stored(hub: Stack, body: Body) -> Body:
    """Return an object as the hub shows it."""
    meta = body["metadata"]
    where = ("-n", meta["namespace"]) if "namespace" in meta else ()
    found: Body = hub.get("hub", body["kind"].lower(), meta["name"], *where)
    return found


def conditions(**states: str) -> dict[str, Any]:
    """Return a status with these conditions."""
    return {
        "conditions": [
            {
                "type": type_,
                "status": status,
                "reason": "Test",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }
            for type_, status in states.items()
        ]
    }
