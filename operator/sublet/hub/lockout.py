"""Notices that the hub lets this process in no more: then it ends, and whatever starts it again reads CA and credential anew.

Both may be renewed under a process that runs, which has read the CA once. A leader loses its Lease by that and ends; a
standby, or an operator without election, would stay as it is for ever, healthy and of no use. Driven by the process.
"""

import asyncio
from typing import Final

import structlog

from sublet.kube.errors import KubeError, Unauthorized, Unreachable, Untrusted
from sublet.kube.identity import read_cluster_uid
from sublet.kube.session import ApiServer

_EVERY_SECONDS: Final = 10.0
_TRIES: Final = 12
"""In a row: an API server that can't look up accounts for a while answers 401, too."""


async def until_locked_out(
    hub: ApiServer, *, every_seconds: float = _EVERY_SECONDS, tries: int = _TRIES
) -> None:
    """Return when the hub has not let us in for long, by its certificate or by ours; say so once."""
    refused, why = 0, ""
    while refused < tries:
        await asyncio.sleep(every_seconds)
        try:
            await read_cluster_uid(hub)
        except (Untrusted, Unauthorized) as error:
            refused, why = refused + 1, str(error)
        except Unreachable:
            continue  # that says nothing of who may come in
        except KubeError:
            refused = 0
        else:
            refused = 0
    structlog.get_logger().error("locked out of the hub: this process ends", error=why)
