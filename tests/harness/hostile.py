"""What a landlord's API server may do to us: answers that lie, never end, or are too much. By name, for any request."""

import asyncio
import gzip
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from aiohttp import web

from tests.builders.nodes import gpu_node
from tests.harness.fake_api import Answer, saying

MIB: Final = 1024 * 1024


async def huge(_: web.Request) -> web.StreamResponse:
    """Send 100 MB that could still become an answer."""
    response = web.StreamResponse()
    await response.prepare(_)
    await response.write(b'{"metadata": {"uid": "')
    for _i in range(100):
        await response.write(b"x" * MIB)
    await response.write(b'"}, "items": []}')
    return response


_BOMB: Final = gzip.compress(b" " * (100 * MIB), 9)


async def bomb(_: web.Request) -> web.StreamResponse:
    """Send a hundred KB that unpack to 100 MB."""
    return web.Response(body=_BOMB, headers={"Content-Encoding": "gzip"})


async def endless(_: web.Request) -> web.StreamResponse:
    """Answer a list with an empty page and say that there is more."""
    return web.json_response({"metadata": {"resourceVersion": "1", "continue": "x"}, "items": []})


async def redirect(_: web.Request) -> web.StreamResponse:
    """Send us elsewhere, credentials and all."""
    return web.Response(status=307, headers={"Location": "https://127.0.0.1:1/"})


async def drip(request: web.Request) -> web.StreamResponse:
    """Send a byte now and then, for ever."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b" ")
        await asyncio.sleep(0.05)


async def blackhole(_: web.Request) -> web.StreamResponse:
    """Never answer."""
    await asyncio.Event().wait()
    raise AssertionError("not reached")


async def cut(request: web.Request) -> web.StreamResponse:
    """Promise more than comes."""
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"metadata"')
    assert request.transport is not None
    request.transport.close()
    return response


async def _let_others_run() -> None:
    """Let the loop see that the connection is gone, or the answer cancelled: a write to a broken one waits for nothing."""
    await asyncio.sleep(0)


async def flood(request: web.Request) -> web.StreamResponse:
    """Send changes of one node as fast as they are taken, for ever."""
    response = web.StreamResponse()
    await response.prepare(request)
    version = 10
    while True:
        lines = []
        for _i in range(200):
            version += 1
            node = a_node("flood", version=str(version))
            node["metadata"]["annotations"]["noise"] = str(version)
            lines.append(json.dumps({"type": "MODIFIED", "object": node}).encode() + b"\n")
        await response.write(b"".join(lines))
        await _let_others_run()


async def garbage(request: web.Request) -> web.StreamResponse:
    """Send lines that are no events, as fast as they are taken."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b'{"type": "ADDED", "object": {"kind": "Cow"}}\n' * 500)
        await _let_others_run()


async def one_line(request: web.Request) -> web.StreamResponse:
    """Send one event that never ends."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"x" * MIB)
        await _let_others_run()


def a_node(name: str, *, version: str = "2", uid: str = "", **fields: Any) -> dict[str, Any]:
    """Return a GPU node with a UID and a version."""
    body = gpu_node(name, **fields)
    body["metadata"] |= {
        "uid": uid or f"00000000-0000-4000-8000-{abs(hash(name)) % 10**12:012d}",
        "resourceVersion": version,
    }
    return body


def listing(*nodes: dict[str, Any], version: str = "5") -> Answer:
    """Return an answer that lists these nodes."""
    return saying(
        json.dumps({"metadata": {"resourceVersion": version}, "items": list(nodes)}).encode()
    )


def _with(change: Callable[[dict[str, Any]], None]) -> Answer:
    body = a_node("n0")
    change(body)
    return listing(body)


def _deep() -> Answer:
    return saying(b'{"metadata": {}, "items": ' + b"[" * 200_000 + b"]" * 200_000 + b"}")


ANYWHERE: Final[Mapping[str, Answer]] = {
    "another kind": saying(b'{"kind": "Cow", "metadata": {"uid": 7}, "items": "none"}'),
    "no object": saying(b"[[]]"),
    "no JSON": saying(b"<html>please log in</html>"),
    "no UTF-8": saying(b'{"metadata": {"uid": "\xff\xfe"}, "items": [{"metadata": {"name": "\xff"}}]}'),
    "half a surrogate": saying(b'{"metadata": {"uid": "\\ud800"}, "items": [{"metadata": {"name": "\\ud800"}}]}'),
    "too deep": _deep(),
    "100 MB": huge,
    "a bomb": bomb,
    "a redirect": redirect,
}  # fmt: skip
"""What -> how any request may be answered, at once."""

NODES: Final[Mapping[str, Answer]] = {
    "an endless list": endless,
    "a name that is a path": _with(lambda n: n["metadata"].update(name="../../secrets")),
    "a name of 300": _with(lambda n: n["metadata"].update(name="n" * 300)),
    "a name of two lines": _with(lambda n: n["metadata"].update(name="a\nb")),
    "no UID": _with(lambda n: n["metadata"].update(uid="")),
    "a UID that is none": _with(lambda n: n["metadata"].update(uid="x" * 36)),
    "one UID twice": listing(
        a_node("n0", uid="00000000-0000-4000-8000-000000000001"),
        a_node("n1", uid="00000000-0000-4000-8000-000000000001"),
    ),
    "10 MB in an annotation": _with(
        lambda n: n["metadata"]["annotations"].update(x="y" * 10 * MIB)
    ),
    "20,000 labels": _with(
        lambda n: n["metadata"]["labels"].update({f"l{i}": "x" for i in range(20_000)})
    ),
    "a label of 1 MB": _with(lambda n: n["metadata"]["labels"].update(x="y" * MIB)),
}
"""What -> how the list of nodes may be answered, beside all of `ANYWHERE`."""

ODD: Final[Mapping[str, Callable[[dict[str, Any]], None]]] = {
    "a billion GPUs": lambda n: _gpus(n, str(10**9)),
    "more digits than a number has": lambda n: _gpus(n, "9" * 300),
    "fewer GPUs than none": lambda n: _gpus(n, "-8"),
    "half a GPU": lambda n: _gpus(n, "500m"),
    "other digits": lambda n: _gpus(n, "\N{ARABIC-INDIC DIGIT EIGHT}"),
    "more GPUs than a node has": lambda n: _gpus(n, "65"),
}
"""What -> what is done to a node that shows it."""


def _gpus(node: dict[str, Any], text: str) -> None:
    node["status"]["allocatable"]["nvidia.com/gpu"] = text
    node["metadata"]["labels"]["nvidia.com/gpu.count"] = text
