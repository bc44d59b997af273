"""What requests and answers of a journal say: of objects, of node patches, of lists."""

import re
from typing import Any, Final

from tests.faults.journal import Entry

HOME: Final = re.compile(r"sublet-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-(\d+)")
BOOK: Final = "/metadata/annotations/sublet.dev~1allocation"


def freed(entry: Entry) -> set[str]:
    """Return the claims that a node patch takes out of the book."""
    if entry.target.resource != "nodes" or not entry.is_write:
        return set()
    new = changed(entry).get(BOOK)
    return set() if new is None else claims_in(tested(entry).get(BOOK)) - claims_in(new)


def tested(entry: Entry) -> dict[str, Any]:
    """Return path -> value of a JSON patch's tests."""
    body = entry.body if isinstance(entry.body, list) else []
    return {o["path"]: o.get("value") for o in body if o["op"] == "test"}


def changed(entry: Entry) -> dict[str, Any]:
    """Return path -> new value of a JSON patch."""
    body = entry.body if isinstance(entry.body, list) else []
    return {o["path"]: o.get("value") for o in body if o["op"] != "test"}


def claims_in(book: Any) -> set[str]:
    """Return the claims of a node's book."""
    return {e.split("=")[0] for e in str(book or "").split(",") if e}


def is_true(body: Any, type_: str) -> bool:
    """Say whether an object has a condition that is true."""
    return any(c["status"] == "True" for c in conditions(body, type_))


def meta(body: Any) -> dict[str, Any]:
    """Return an object's metadata, empty if there is none."""
    found = body.get("metadata") if isinstance(body, dict) else None
    return found if isinstance(found, dict) else {}


def status_of(body: Any) -> dict[str, Any]:
    """Return an object's status, empty if there is none."""
    found = body.get("status") if isinstance(body, dict) else None
    return found if isinstance(found, dict) else {}


def is_live_list(entry: Entry) -> bool:
    """Say whether a list shows what is there at the time: the API answers from the past only whom it is asked to."""
    from_past = entry.query.get("resourceVersion") or entry.query.get("resourceVersionMatch")
    return entry.target.verb == "list" and entry.status == 200 and not from_past


def conditions(body: Any, type_: str) -> list[dict[str, Any]]:
    """Return an object's conditions of a type: none or one."""
    return [c for c in status_of(body).get("conditions", []) if c["type"] == type_]
