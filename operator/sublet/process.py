"""The operator as a process: kopf beside it, signals, exit status. What it is made of stands in `sublet.app`."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Coroutine, Sequence
from typing import Any, Final

from sublet.app import Operator
from sublet.heap import keep_large_blocks_apart
from sublet.hub.feed import Feed
from sublet.hub.lockout import until_locked_out
from sublet.kube.hub import hub_endpoint
from sublet.kube.session import ApiServer, Limits
from sublet.logs import configure_logs
from sublet.settings import Settings, load_settings

_END_SECONDS: Final = 25.0
"""What hasn't ended by then never would; a pod has 40."""
_MEND: Final = "set SUBLET_KUBECONFIG or KUBECONFIG"
_NO_COMMAND: Final = (
    "sublet: this is the operator, which takes no arguments; the command line is the program `sublet` "
    "(in a pod `command: [sublet, …]`, as `args` alone come here)\n"
)


async def run(settings: Settings) -> int:
    """Run the operator until it is told to stop, loses the Lease or is locked out; return the exit status."""
    endpoint = await hub_endpoint(kubeconfig=settings.kubeconfig, mend=_MEND)
    hub = ApiServer(endpoint, Limits(connections=128))
    operator = Operator(settings, hub)
    feed = Feed(operator.state, endpoint, begun=lambda: _stop_at_signals(operator.stop))
    try:
        await operator.listen(followed=lambda: feed.stands)
    except OSError as error:
        await operator.close()
        raise ValueError(
            f"SUBLET_LISTEN_HOST, SUBLET_LISTEN_PORT or SUBLET_ADMIN_PORT: can't listen at {settings.listen_host} port "
            f"{settings.listen_port} and on loopback port {settings.admin_port}: {error.strerror or error}"
        ) from error  # fmt: skip
    _stop_at_signals(operator.stop)
    try:
        was_told = await _until(
            operator.stop,
            _live(operator, feed),
            operator.follow_leadership(),
            until_locked_out(hub),
        )
    except ValueError as error:
        # no setting is wrong: those were read above
        raise RuntimeError("the operator broke down") from error
    finally:
        await operator.close()
    return 0 if was_told and not operator.leadership.lost.is_set() else 1


async def _live(operator: Operator, feed: Feed) -> None:
    await operator.start()
    await feed.run()


async def _until(told: asyncio.Event, *works: Coroutine[Any, Any, None]) -> bool:
    """Work until told to stop, or until one of the works ends; return whether it was told. Raises what they do.

    Sees that the process ends some time after that.
    """
    tasks = [asyncio.create_task(each) for each in (*works, told.wait())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        loop = asyncio.get_running_loop()
        loop.call_later(_END_SECONDS, signal.raise_signal, signal.SIGKILL)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.result()
    return told.is_set()


def _stop_at_signals(stop: asyncio.Event) -> None:
    for each in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):
            asyncio.get_running_loop().add_signal_handler(each, stop.set)


def main(arguments: Sequence[str] = ()) -> int:
    """Start the operator; a wrong setting is one line and exit status 2, and so is a command, which is another program's."""
    if arguments:
        sys.stderr.write(_NO_COMMAND)
        return 2
    try:
        settings = load_settings()
        configure_logs(settings.log_format)
        keep_large_blocks_apart()
        import uvloop  # noqa: PLC0415  not on every platform, and only the real process needs it

        return uvloop.run(run(settings))
    except ValueError as error:
        sys.stderr.write(f"sublet: {error}\n")
        return 2
