"""One stack for many modules: each finds its planes as they were when they had just been installed.

What a module leaves is put back in etcd when the next one borrows (`tests.planes.store`). A module that breaks planes, watches
their processes, or wants them installed otherwise, starts a stack of its own (`tests.harness.stack.start_stack`).
"""

import asyncio
import base64
import os
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from sublet.kube.hub import hub_endpoint
from sublet.kube.session import ApiServer
from tests.harness.stack import (
    NAMESPACE,
    Stack,
    install,
    loosen,
    operator_kubeconfig,
    prove_isolation,
    wait_until_served,
)
from tests.planes import planes
from tests.planes.plane import RESPAWN, STORE
from tests.planes.planes import RunningSet
from tests.planes.store import Snapshot, Store

_LEASED = ("west", "east")


@dataclass
class _Shared:
    """The stack of this process."""

    stack: Stack
    stores: dict[str, Store]
    installed: dict[str, Snapshot]
    bare: dict[str, Snapshot]
    """leased cluster -> as its landlord hands it over"""
    tokens: dict[str, str]
    """leased cluster -> the operator's token there"""
    lent: int = 0
    borrowed: bool = False


_OURS: dict[int, _Shared] = {}  # pid -> the stack of that process


@dataclass(frozen=True)
class Borrowed(Stack):
    """The shared stack in the hands of one module, with a folder of its own."""

    own: Path = Path()
    shared: _Shared | None = field(default=None, repr=False, compare=False)

    @property
    def folder(self) -> Path:
        """Return the folder of the module's own."""
        return self.own

    def stop(self) -> None:
        """Give it back."""
        self.leave()
        assert self.shared is not None
        self.shared.borrowed = False


def borrow_stack(
    name: str,
    *,
    leased: tuple[str, ...] = _LEASED,
    bare: tuple[str, ...] = (),
    belt: bool = True,
) -> Borrowed:
    """Borrow a hub and leased clusters, as `start_stack` installs them, and `bare` ones; the borrower calls `stop`."""
    shared = _OURS.get(os.getpid()) or _start()
    assert not shared.borrowed, "it is lent already; who needs two at once starts one of their own"
    shared.borrowed = True
    away = [_secret(plane) for plane in _LEASED if plane not in leased]
    if _reset(shared, "hub", shared.installed["hub"].without(*away)):
        wait_until_served(shared.stack)
    for plane in bare:
        _reset(shared, plane, shared.bare[plane])
    for plane in leased:
        if _reset(shared, plane, shared.installed[plane]) or not belt:
            asyncio.run(_prove(shared, plane, belt=belt))
    return _lend(shared, name, ("hub", *leased, *bare))


def stop_shared() -> None:
    """Stop the stack of this process, if there is one."""
    shared = _OURS.pop(os.getpid(), None)
    if shared is not None:
        for store in shared.stores.values():
            store.close()
        shared.stack.stop()


def _start() -> _Shared:
    stack = Stack(planes.start(f"shared-{os.getpid()}", ["hub", *_LEASED], keep=False))
    folder = stack.running.folder
    stores = {plane: Store((folder / plane / STORE).read_text()) for plane in ("hub", *_LEASED)}
    bare = {plane: stores[plane].read_settled() for plane in _LEASED}
    install(stack, _LEASED)
    installed = {plane: store.read_settled() for plane, store in stores.items()}
    tokens = {plane: _token(stack, plane) for plane in _LEASED}
    _OURS[os.getpid()] = _Shared(stack, stores, installed, bare, tokens)
    return _OURS[os.getpid()]


def _reset(shared: _Shared, plane: str, wanted: Snapshot) -> bool:
    (shared.stack.folder / plane / RESPAWN).unlink(missing_ok=True)
    return shared.stores[plane].reset(wanted)


def _lend(shared: _Shared, name: str, names: tuple[str, ...]) -> Borrowed:
    shared.lent += 1
    folder = shared.stack.folder / f"{shared.lent}-{name}"
    folder.mkdir()
    running = RunningSet(shared.stack.folder, names, shared.stack.running.pid)
    stack = Borrowed(running, own=folder, shared=shared)
    operator_kubeconfig(stack).write_text(operator_kubeconfig(shared.stack).read_text())
    return stack


def _secret(plane: str) -> bytes:
    return f"/registry/secrets/{NAMESPACE}/{plane}".encode()


def _token(stack: Stack, plane: str) -> str:
    secret = stack.get("hub", "secret", "-n", NAMESPACE, plane)
    config = yaml.safe_load(base64.b64decode(secret["data"]["kubeconfig"]))
    return str(config["users"][0]["user"]["token"])


async def _prove(shared: _Shared, plane: str, *, belt: bool) -> None:
    endpoint = await hub_endpoint(kubeconfig=str(shared.stack.running.kubeconfig(plane)))
    async with ApiServer(endpoint) as api:
        await prove_isolation(api, shared.tokens[plane])
        if not belt:
            await loosen(api)
