"""A landlord's API server that lies to a real operator: over TLS, with a kubeconfig, and honest until it is told not to be."""

import asyncio
import base64
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

from sublet.fleet.isolation import CLAIM_PODS_POLICY, VALIDATING, notes_of
from tests.harness.fake_api import Answer, FakeApi, failure
from tests.harness.listener import TURNS_SECONDS, drop_all, stop_accepting
from tests.planes.certificates import write_certificates

KUBE_SYSTEM = "/api/v1/namespaces/kube-system"
_POLICIES = "/apis/admissionregistration.k8s.io/v1"


class HostileCluster(FakeApi):
    """Looks like an onboarded cluster; `lies` answer instead of the content, by the beginning of the path."""

    def __init__(self, folder: Path, uid: str) -> None:
        super().__init__()
        self.lies: dict[str, Answer] = {}  # how a path begins -> answer
        self.pending = 0
        """Requests that wait for an answer now."""
        self.loop = asyncio.new_event_loop()
        self._handlers: set[asyncio.Task[Any]] = set()
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        write_certificates(folder)
        self.objects[KUBE_SYSTEM] = {"metadata": {"uid": uid}}
        self.objects["/version"] = {"gitVersion": "v1.37.2"}
        self.objects |= policies_of()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a request: with a lie if there is one for it."""
        self.pending += 1
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        try:
            for begin, answer in self.lies.items():
                if request.path.startswith(begin):
                    return await answer(request)
            if request.method == "POST" and request.path.endswith("/pods"):
                return await try_pod(request)
            return await super().handle(request)
        finally:
            self._handlers.discard(task)
            self.pending -= 1

    def calm(self) -> None:
        """Lie no more, and cut whatever is being answered, also what would never end."""
        self.lies.clear()
        self.next_watch.clear()
        self.next_list.clear()
        self.cut()

    def cut(self) -> None:
        """Cut every connection that is being answered, watches too."""
        self.loop.call_soon_threadsafe(self._cut)

    def _cut(self) -> None:
        for task in tuple(self._handlers):
            task.cancel()

    def kubeconfig(self) -> str:
        """Return what the landlord hands over."""
        authority = base64.b64encode((self.folder / "ca.crt").read_bytes()).decode()
        config: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [
                {"name": "c", "cluster": {"server": self.url, "certificate-authority-data": authority}}
            ],
            "users": [{"name": "u", "user": {"token": "landlords-token"}}],
        }  # fmt: skip
        return yaml.safe_dump(config)

    def context(self) -> ssl.SSLContext:
        """Return the certificate that it shows."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "server.crt", self.folder / "server.key")
        return context


def policies_of() -> dict[str, Any]:
    """Return path -> what an onboarded cluster without mutating policies shows of its policies."""
    found: dict[str, Any] = {_POLICIES: {"resources": []}}
    for plural in ("validatingadmissionpolicies", "validatingadmissionpolicybindings"):
        found[f"{_POLICIES}/{plural}"] = {"metadata": {}, "items": []}
        for name in VALIDATING:
            notes = notes_of({"spec": {}})
            policy = {"metadata": {"name": name, "annotations": notes}, "spec": {}}
            found[f"{_POLICIES}/{plural}/{name}"] = policy
    return found


async def try_pod(request: web.Request) -> web.StreamResponse:
    """Answer a dry run as if the policies acted."""
    pod = await request.json()
    if "schedulerName" in pod["spec"]:
        return failure(403, "Forbidden", f"policy '{CLAIM_PODS_POLICY}' denied request")
    return web.json_response(pod)


@contextmanager
def serving(cluster: HostileCluster) -> Iterator[HostileCluster]:
    """Serve in a thread of its own, so that its floods take no time of the test's."""
    loop = cluster.loop
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    listening = socket.create_server(("127.0.0.1", 0))
    runner = asyncio.run_coroutine_threadsafe(_start(cluster, listening), loop).result(10)
    try:
        yield cluster
    finally:
        cluster.calm()
        asyncio.run_coroutine_threadsafe(_stop(runner, listening), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _start(cluster: HostileCluster, listening: socket.socket) -> web.AppRunner:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", cluster.handle)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.SockSite(runner, listening, ssl_context=cluster.context()).start()
    host, port = listening.getsockname()
    cluster.url = f"https://{host}:{port}"
    return runner


async def _stop(runner: web.AppRunner, listening: socket.socket) -> None:
    await stop_accepting(listening)
    drop_all()
    await runner.cleanup()
    tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(TURNS_SECONDS)  # what was dropped is closed then
