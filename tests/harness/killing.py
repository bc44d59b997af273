"""An operator that kills itself at its n-th write: `python -m tests.harness.killing`.

`KILL_AT` counts the requests that change something for claims; `KILL_WHEN` says before (the request isn't sent) or after
(it is applied, its answer is never seen). Every write for claims is also noted in `KILL_JOURNAL`, their Events too, which
are never killed at. With `CLOCK_SHIFT` its clock can be moved, too (`tests.harness.shifting`). The operator itself knows nothing of this: the requests are wrapped from outside.
"""

import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

from sublet.kube.session import ApiServer
from sublet.process import main
from tests.harness import shifting

# writes about claims: not the Lease, not statuses of leases, classes and tenants, not Events, not adoption
COUNTED = re.compile(
    r"/gpuclaims/|/namespaces/[^/]+/secrets|/namespaces/sublet-|^/api/v1/namespaces$|^/api/v1/nodes/"
)
EVENTS = re.compile(r"^/apis/events\.k8s\.io/")


def kill() -> None:
    """End the process as kill -9 does."""
    os.kill(os.getpid(), signal.SIGKILL)


def wrap() -> None:
    """Count the writes and die at the chosen one."""
    at, when = int(os.environ.get("KILL_AT", "0")), os.environ.get("KILL_WHEN", "after")
    journal = Path(os.environ["KILL_JOURNAL"]).open("a", buffering=1)  # noqa: SIM115  it lives as long as the process
    send = ApiServer.request
    count = 0

    async def request(self: ApiServer, method: str, path: str, **options: Any) -> bytes:
        nonlocal count
        if EVENTS.search(path):
            journal.write(f"- {method} {path}\n")
        if method == "GET" or not _counts(path, options):
            return await send(self, method, path, **options)
        count += 1
        mine = count
        if mine == at and when == "before":
            kill()
        answer = await send(self, method, path, **options)
        journal.write(f"{mine} {method} {path}\n")
        if mine == at:
            kill()
        return answer

    ApiServer.request = request  # type: ignore[method-assign]  # that is the point


def _counts(path: str, options: dict[str, Any]) -> bool:
    """Say whether a request changes something for a claim: no dry run, and no adoption of a node."""
    dry = "dryRun" in (options.get("params") or {})
    adoption = b"sublet.dev~1sharing" in (options.get("body") or b"")
    return not dry and not adoption and COUNTED.search(path) is not None


if __name__ == "__main__":
    wrap()
    if "CLOCK_SHIFT" in os.environ:
        shifting.wrap()
    sys.exit(main())
