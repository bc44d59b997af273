"""A hub as the command line sees it: objects over HTTP in a thread, with the preconditions of a real API server.

`operator` is called with each claim that was written and may change its status, as the operator would. `refusal` is what
the server says instead of creating or changing anything.
"""

import base64
import json
import ssl
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import yaml

from tests.builders.pem import certificate_and_key

ROOT = "/apis/sublet.dev/v1alpha1"
_PLURALS = {
    "GpuClaim": "gpuclaims", "GpuLease": "gpuleases", "GpuClass": "gpuclasses", "GpuTenant": "gputenants",
    "GpuStatement": "gpustatements",
}  # fmt: skip
Json = dict[str, Any]


def _nobody(_: Json) -> None:
    """Answer no claim."""


class SmallHub:
    """What the server has and was asked."""

    def __init__(self) -> None:
        self.objects: dict[str, Json] = {}  # path -> object
        self.requests: list[tuple[str, str, Json]] = []  # method, path, query
        self.bodies: list[Any] = []
        self.operator: Callable[[Json], None] = _nobody
        self.refusal: tuple[int, str, str] | None = None
        """Status, reason and message."""
        self.url = ""
        self.authority = ""
        """Its certificate, if it speaks TLS."""
        self.version = 100

    def put(self, body: Json) -> Json:
        """Store an object as it is, with a UID and a version if it has none."""
        self.version += 1
        meta = {"uid": str(uuid.uuid4()), "generation": 1, "resourceVersion": str(self.version), **body["metadata"]}  # fmt: skip
        stored = {**body, "metadata": meta}
        self.objects[path_of(stored)] = stored
        return stored

    def answer(self, method: str, path: str, query: Json, body: Any) -> tuple[int, Json]:
        """Return status and answer of one request."""
        self.requests.append((method, path, query))
        self.bodies.append(body)
        if method == "GET":
            return self._read(path, query)
        if method == "POST":
            return self._create(path, query, body)
        found = self.objects.get(path)
        if found is None:
            return failure(404, "NotFound", f"{path} not found", name=path.rpartition("/")[2])
        return self._delete(path, found, body) if method == "DELETE" else self._patch(found, body)

    def kubeconfig(self, namespace: str = "acme") -> str:
        """Return a kubeconfig that leads here."""
        data = base64.b64encode(self.authority.encode()).decode()
        trusted = {"certificate-authority-data": data} if data else {}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "hub", "cluster": {"server": self.url, **trusted}}],
            "users": [{"name": "hub", "user": {"token": "t"}}],
            "contexts": [
                {
                    "name": "hub",
                    "context": {"cluster": "hub", "user": "hub", "namespace": namespace},
                }
            ],
            "current-context": "hub",
        }
        return yaml.safe_dump(config)

    def _read(self, path: str, query: Json) -> tuple[int, Json]:
        if path in self.objects:
            return 200, self.objects[path]
        plural = path.rpartition("/")[2]
        if plural not in _PLURALS.values():
            return failure(404, "NotFound", f"{path} not found", name=plural)
        above = path.removesuffix(plural)
        items = [o for p, o in self.objects.items() if p.startswith(above) and f"/{plural}/" in p]
        begin = int(query.get("continue", 0))
        end = begin + int(query.get("limit", len(items)))
        meta = {"resourceVersion": "1", **({"continue": str(end)} if end < len(items) else {})}
        return 200, {"apiVersion": "sublet.dev/v1alpha1", "metadata": meta, "items": items[begin:end]}  # fmt: skip

    def _create(self, path: str, query: Json, body: Json) -> tuple[int, Json]:
        if path.endswith("/selfsubjectreviews"):
            return 201, {"status": {"userInfo": {"username": "jo"}}}
        if self.refusal is not None:
            return failure(*self.refusal)
        made = {**body, "status": {}}
        if path_of(made) in self.objects:
            return failure(409, "AlreadyExists", f"{body['metadata']['name']} already exists")
        if query.get("dryRun"):
            return 201, made
        made = self.put(made)
        answered: Json = json.loads(json.dumps(made))
        self.operator(made)
        return 201, answered

    def _patch(self, found: Json, operations: list[Json]) -> tuple[int, Json]:
        if self.refusal is not None:
            return failure(*self.refusal)
        for each in operations:
            *above, last = each["path"].strip("/").split("/")
            place = found
            for field in above:
                place = place.setdefault(field, {})
            if each["op"] == "test" and place.get(last) != each["value"]:
                return failure(422, "Invalid", "the server rejected our request: test failed")
            if each["op"] in ("add", "replace"):
                place[last] = each["value"]
        found["metadata"]["generation"] += 1
        self.version += 1
        found["metadata"]["resourceVersion"] = str(self.version)
        answered: Json = json.loads(json.dumps(found))
        self.operator(found)
        return 200, answered

    def _delete(self, path: str, found: Json, body: Any) -> tuple[int, Json]:
        for field, value in ((body or {}).get("preconditions") or {}).items():
            if found["metadata"][field] != value:
                return failure(409, "Conflict", f"Precondition failed: {field} in precondition: {value}")  # fmt: skip
        del self.objects[path]
        return 200, {"kind": "Status", "status": "Success"}


def path_of(body: Json) -> str:
    """Return where an object is."""
    meta = body["metadata"]
    within = f"/namespaces/{meta['namespace']}" if meta.get("namespace") else ""
    return f"{ROOT}{within}/{_PLURALS[body['kind']]}/{meta['name']}"


def failure(status: int, reason: str, message: str, **details: str) -> tuple[int, Json]:
    """Return an error as an API server writes it."""
    return status, {"kind": "Status", "status": "Failure", "reason": reason, "message": message, "details": details}  # fmt: skip


@contextmanager
def small_hub(*, tls: bool = False) -> Iterator[SmallHub]:
    """Run a hub on loopback."""
    hub = SmallHub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _answer(self) -> None:
            asked = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            status, answer = hub.answer(
                self.command, asked.path, dict(parse_qsl(asked.query)), body
            )
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            with suppress(ConnectionError):  # whoever asked has broken off
                self.end_headers()
                self.wfile.write(data)

        do_GET = do_POST = do_PATCH = do_DELETE = _answer  # noqa: N815  as the library calls them

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  as the library calls it
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads, server.block_on_close = True, False
    hub.url = f"http{'s' if tls else ''}://127.0.0.1:{server.server_address[1]}"
    if tls:
        _speak_tls(hub, server)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _speak_tls(hub: SmallHub, server: ThreadingHTTPServer) -> None:
    hub.authority, key = certificate_and_key(address="127.0.0.1")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, name) for name in ("cert.pem", "key.pem")]
        for path, text in zip(paths, (hub.authority, key), strict=True):
            path.write_text(text)
        context.load_cert_chain(*paths)
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )


def write_kubeconfig(hub: SmallHub, folder: Path) -> Path:
    """Write a kubeconfig that leads to a hub, and return its path."""
    path = folder / "kubeconfig"
    path.write_text(hub.kubeconfig())
    return path
