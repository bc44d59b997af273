"""What Sublet left on a cluster's nodes: seen before offboarding, taken off once the policies that guard it are gone.

The operator hands nodes back when a lease ends; this is for what it couldn't, such as nodes of a lease whose cluster
was away. Only `sublet.dev` metadata is touched, and only while the node's own book is empty.
"""

import asyncio
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from sublet.cli.onboarding.pages import read_all
from sublet.cli.problems import Problem
from sublet.fleet.nodebook import BOOK, BookError, read_book
from sublet.kube.errors import Conflict, Forbidden, Invalid, NotFound
from sublet.kube.session import ApiServer, JsonPatch
from sublet.kube.wire import Meta, Node

_OURS: Final = re.compile(r"([a-z0-9-]+[.])*sublet[.]dev/.*")
_TRIES: Final = 40
_WAIT_SECONDS: Final = 0.25
_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True)
class Marked:
    """Nodes that carry something of ours."""

    free: tuple[str, ...]
    held: tuple[str, ...]
    """Their books aren't empty, or can't be read."""


async def find_marked(api: ApiServer) -> Marked:
    """Look at all nodes, whatever their labels: a node that lost its GPUs may still carry our marks."""
    nodes = await read_all(api, "/api/v1/nodes", Node)
    marked = [node for node in nodes if _keys(node)]
    held = {node.metadata.name for node in marked if _is_held(node.metadata)}
    return Marked(
        free=tuple(n.metadata.name for n in marked if n.metadata.name not in held),
        held=tuple(sorted(held)),
    )


async def take_off(api: ApiServer, names: Collection[str]) -> int:
    """Take our marks off nodes, several at once; return how many carried some."""
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(name: str) -> bool:
        async with slots:
            return await _take_off_one(api, name)

    return sum(await asyncio.gather(*(one(name) for name in names)))


async def _take_off_one(api: ApiServer, name: str) -> bool:
    """Try until it is done: a deleted policy acts for a moment longer, and others write nodes, too."""
    path = f"/api/v1/nodes/{name}"
    refused: Exception | None = None
    for _ in range(_TRIES):
        try:
            node = await api.get_as(path, Node)
            if not _keys(node):
                return False
            if _is_held(node.metadata):
                raise Problem(f"a claim got node {name} meanwhile; release it and offboard again")
            await api.patch_as(path, _patch(node), Node)
        except NotFound:
            return False
        except (Conflict, Invalid, Forbidden) as error:
            refused = error
            await asyncio.sleep(_WAIT_SECONDS)
        else:
            return True
    raise Problem(f"node {name} keeps its marks: {refused}; offboard again")


def _patch(node: Node) -> JsonPatch:
    """Return the patch that takes everything of ours off, if node and book are still those that were read."""
    patch: JsonPatch = [{"op": "test", "path": "/metadata/uid", "value": node.metadata.uid}]
    if BOOK in node.metadata.annotations:
        patch.append({"op": "test", "path": _escape("annotations", BOOK), "value": ""})
    # from the last to the first, so that the places before stay what they are
    for index in reversed(range(len(node.spec.taints))):
        key = node.spec.taints[index].key
        if _OURS.fullmatch(key):
            patch.append({"op": "test", "path": f"/spec/taints/{index}/key", "value": key})
            patch.append({"op": "remove", "path": f"/spec/taints/{index}"})
    for section, keys in (
        ("labels", node.metadata.labels),
        ("annotations", node.metadata.annotations),
    ):
        patch += [{"op": "remove", "path": _escape(section, key)} for key in _ours(keys)]
    return patch


def _is_held(meta: Meta) -> bool:
    try:
        return bool(read_book(meta.labels, meta.annotations))
    except BookError:
        return True


def _keys(node: Node) -> list[str]:
    taints = [taint.key for taint in node.spec.taints]
    return _ours([*node.metadata.labels, *node.metadata.annotations, *taints])


def _ours(keys: Iterable[str]) -> list[str]:
    return [key for key in keys if _OURS.fullmatch(key)]


def _escape(section: str, key: str) -> str:
    return f"/metadata/{section}/" + key.replace("~", "~0").replace("/", "~1")
