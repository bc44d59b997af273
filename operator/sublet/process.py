"""The operator as a process: kopf around it, signals, exit status. What it is made of stands in `sublet.app`."""

import asyncio
import contextlib
import signal
import sys
from typing import Any

import kopf

from sublet.app import Operator
from sublet.hub.feeders import register_feeders
from sublet.hub.kopf_settings import kopf_settings, register_login
from sublet.kube.hub import hub_endpoint
from sublet.kube.session import ApiServer, Limits
from sublet.logs import configure_logs
from sublet.settings import Settings, load_settings


async def run(settings: Settings) -> int:
    """Run the operator until it is told to stop or loses the Lease; return the exit status."""
    endpoint = await hub_endpoint(kubeconfig=settings.kubeconfig)
    hub = ApiServer(endpoint, Limits(connections=128))
    operator = Operator(settings, hub)
    registry = kopf.OperatorRegistry()
    register_feeders(registry, operator.state)
    register_login(registry, endpoint)

    # tasks that live with kopf must begin and end inside its own hooks: it cancels whatever is younger than itself
    @kopf.on.startup(registry=registry)
    async def start(**_: Any) -> None:
        await operator.listen()
        await operator.start()

    @kopf.on.cleanup(registry=registry)
    async def close(**_: Any) -> None:
        await operator.close()

    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(each, operator.stop.set)
    try:
        await kopf.operator(
            registry=registry,
            settings=kopf_settings(),
            standalone=True,
            clusterwide=True,
            stop_flag=operator.stop,
        )
    except ValueError as error:
        # no setting is wrong: those were read above
        raise RuntimeError("the operator broke down") from error
    return 1 if operator.leadership.lost.is_set() else 0


def main() -> int:
    """Start the operator; a wrong setting is one line and exit status 2."""
    try:
        settings = load_settings()
        configure_logs(settings.log_format)
        import uvloop  # noqa: PLC0415  not on every platform, and only the real process needs it

        return uvloop.run(run(settings))
    except ValueError as error:
        sys.stderr.write(f"sublet: {error}\n")
        return 2
