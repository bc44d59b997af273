"""JSON patch (RFC 6902) and server-side apply, as far as the operator uses them.

As the API server's library does it (evanphx/json-patch v5): a `test` for null passes where there is nothing, `remove`
of what isn't there fails, `add` replaces.
"""

from collections.abc import Mapping
from typing import Any


class PatchFailed(Exception):
    """A test failed or a path leads nowhere: HTTP 422."""


def json_patch(document: dict[str, Any], operations: list[dict[str, Any]]) -> None:
    """Change a document in place."""
    for op in operations:
        *parents, last = [
            p.replace("~1", "/").replace("~0", "~") for p in op["path"].split("/")[1:]
        ]
        target = _walk(document, parents, op)
        if target is None:
            if op["op"] == "test" and op.get("value") is None:
                continue
            raise PatchFailed(f"{op['op']} {op['path']}: the path leads nowhere")
        _operate(target, last, op)


def _walk(document: Any, parents: list[str], op: Mapping[str, Any]) -> Any:
    for part in parents:
        if isinstance(document, list):
            document = (
                document[int(part)] if part.isdecimal() and int(part) < len(document) else None
            )
        else:
            document = document.get(part)
        if document is None:
            return None
    return document


def _operate(target: Any, last: str, op: Mapping[str, Any]) -> None:
    if isinstance(target, list):
        _operate_on_list(target, last, op)
    elif op["op"] == "test":
        if target.get(last) != op.get("value"):
            raise PatchFailed(f"testing value {op['path']} failed")
    elif op["op"] == "remove":
        if last not in target:
            raise PatchFailed(f"remove {op['path']}: there is nothing")
        del target[last]
    else:
        target[last] = op.get("value")


def _operate_on_list(target: list[Any], last: str, op: Mapping[str, Any]) -> None:
    if last == "-":
        target.append(op["value"])
        return
    index = int(last)
    if op["op"] == "add":
        target.insert(index, op["value"])
    elif index >= len(target):
        raise PatchFailed(f"{op['path']}: the list is shorter")
    elif op["op"] == "remove":
        del target[index]
    elif op["op"] == "test" and target[index] != op.get("value"):
        raise PatchFailed(f"testing value {op['path']} failed")


def apply(live: dict[str, Any], wanted: Mapping[str, Any]) -> None:
    """Merge what one field manager wants into an object; lists and what it owns of spec are replaced.

    The operator is the only manager of the specs that it applies, so a field that it no longer names goes
    (Kubernetes documentation, Server-Side Apply, "Field management").
    """
    for key, value in wanted.items():
        if key == "metadata":
            for name, content in value.items():
                old = live["metadata"].get(name)
                live["metadata"][name] = (
                    {**old, **content} if isinstance(content, dict) and old else content
                )
        else:
            live[key] = value
