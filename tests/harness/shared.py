"""One stack for many modules: what a test process borrows is swept when it is given back, and lent again.

A module that breaks planes, or wants them otherwise than `start_stack` makes them by default, starts a stack of its own.
Everything that the last borrower left is gone before the next one comes, or giving it back fails (`sweep`).
"""

import asyncio
import base64
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from sublet.cli.onboarding.apply import apply_all
from sublet.kube.hub import hub_endpoint
from sublet.kube.session import ApiServer
from sublet.manifests.render import LeasedOptions, leased_cluster
from tests.harness import process
from tests.harness.stack import (
    NAMESPACE,
    ONBOARDED,
    Stack,
    loosen,
    operator_kubeconfig,
    prove_isolation,
    serves_kinds,
    start_stack,
)
from tests.harness.sweep import Sweep
from tests.harness.waiting import wait_for
from tests.planes.plane import RESPAWN
from tests.planes.planes import RunningSet

_LEASED: Final = ("west", "east")


@dataclass
class _Shared:
    """A stack of this process, and how each of its planes was when it had just been installed."""

    stack: Stack
    sweeps: dict[str, Sweep]
    tokens: dict[str, str]
    """leased cluster -> the operator's token there"""
    lent: int = 0
    borrowed: bool = False


_OURS: dict[str, _Shared] = {}  # what is installed on it -> the stack of this process


@dataclass(frozen=True)
class Borrowed(Stack):
    """The shared stack in the hands of one module, with a folder of its own."""

    own: Path = Path()
    shared: Any = field(default=None, repr=False, compare=False)

    @property
    def folder(self) -> Path:
        """Return the folder of the module's own."""
        return self.own

    def stop(self) -> None:
        """Give it back; NotSwept says what can't be as it was again, and the next borrower gets a new stack."""
        process.kill_all(self)
        for admin in self._admins.values():
            admin.close()
        _sweep(self.shared)


def borrow_stack(
    name: str,
    *,
    leased: Iterable[str] = _LEASED,
    belt: bool = True,
    options: LeasedOptions = ONBOARDED,
) -> Stack:
    """Borrow a hub and leased clusters, as `start_stack` installs them; the borrower calls `stop`."""
    names = tuple(leased)
    shared = _OURS.get("all") or _start("all", leased=_LEASED)
    for plane in set(_LEASED) - set(names):
        shared.sweeps["hub"].remove(f"/api/v1/namespaces/{NAMESPACE}/secrets/{plane}")
    if options != ONBOARDED or not belt:
        asyncio.run(_alter(shared, names, options, belt=belt))
    return _lend(shared, name, names)


def borrow_bare_stack(name: str) -> Stack:
    """Borrow a hub, and west as its landlord hands it over: nothing of Sublet is there."""
    return _lend(_OURS.get("hub") or _start("hub", bare=("west",)), name, ("west",))


def stop_shared() -> None:
    """Stop the stack of this process, if there is one."""
    while _OURS:
        _OURS.popitem()[1].stack.stop()


def _start(kind: str, *, leased: tuple[str, ...] = (), bare: tuple[str, ...] = ()) -> _Shared:
    stack = start_stack(f"shared-{kind}-{os.getpid()}", leased=leased, bare=bare)
    sweeps = {plane: Sweep(plane, stack.admin(plane)) for plane in ("hub", *leased, *bare)}
    shared = _Shared(stack, sweeps, {plane: _token(stack, plane) for plane in leased})
    _OURS[kind] = shared
    return shared


def _lend(shared: _Shared, name: str, leased: tuple[str, ...]) -> Stack:
    assert not shared.borrowed, "it is lent already; who needs two at once starts one of their own"
    shared.borrowed = True
    shared.lent += 1
    folder = shared.stack.folder / f"{shared.lent}-{name}"
    folder.mkdir()
    running = RunningSet(shared.stack.running.folder, ("hub", *leased), shared.stack.running.pid)
    stack = Borrowed(running, own=folder, shared=shared)
    operator_kubeconfig(stack).write_text(operator_kubeconfig(shared.stack).read_text())
    return stack


def _sweep(shared: _Shared) -> None:
    """Sweep all planes; a stack that can't be swept is stopped."""
    try:
        for plane, sweep in shared.sweeps.items():
            (shared.stack.folder / plane / RESPAWN).unlink(missing_ok=True)
            mended = sweep.run()
            if mended and plane == "hub":
                wait_for("the hub serves the kinds", lambda: serves_kinds(shared.stack))
            elif mended and plane in shared.tokens:
                asyncio.run(_prove(shared, plane))
    except BaseException:
        for kind in [k for k, s in _OURS.items() if s is shared]:
            _OURS.pop(kind).stack.stop()
        raise
    shared.borrowed = False


def _token(stack: Stack, plane: str) -> str:
    secret = stack.get("hub", "secret", "-n", NAMESPACE, plane)
    config = yaml.safe_load(base64.b64decode(secret["data"]["kubeconfig"]))
    return str(config["users"][0]["user"]["token"])


async def _prove(shared: _Shared, plane: str) -> None:
    async with ApiServer(await _endpoint(shared, plane)) as api:
        await prove_isolation(api, shared.tokens[plane])


async def _alter(
    shared: _Shared, leased: tuple[str, ...], options: LeasedOptions, *, belt: bool
) -> None:
    """Install leased clusters otherwise than by default."""
    for plane in leased:
        async with ApiServer(await _endpoint(shared, plane)) as api:
            await apply_all(api, leased_cluster(options))
            await prove_isolation(api, shared.tokens[plane])
            if not belt:
                await loosen(api)


async def _endpoint(shared: _Shared, plane: str) -> Any:
    return await hub_endpoint(kubeconfig=str(shared.stack.running.kubeconfig(plane)))
