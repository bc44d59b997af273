"""An operator that writes down each of its requests: `python -m tests.harness.tracing`.

`TRACE_FILE` gets one JSON line a request when its answer is there: when it was sent and answered (monotonic seconds),
to which server, by which identity, what and with what body. The operator itself knows nothing of this.
"""

import hashlib
import json
import os
import runpy
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from sublet.kube.session import ApiServer

_QUESTIONS = ("/apis/authentication.k8s.io/", "/apis/authorization.k8s.io/")


@dataclass(frozen=True)
class Request:
    """One line of a trace."""

    begun: float
    ended: float
    cpu_seconds: float
    """Of the whole process, when it was answered, without what the trace itself took."""
    server: str
    identity: str
    """A digest of the token: who asked, not the token itself."""
    method: str
    path: str
    params: dict[str, str]
    content_type: str
    body: str
    failed: str

    @property
    def changes(self) -> bool:
        """Say whether it asks for a change: no read, no dry run, no question in a body, such as for a token."""
        asks = self.method == "GET" or "dryRun" in self.params or self.path.endswith("/token")
        return not asks and not self.path.startswith(_QUESTIONS)

    def is_about(self, *marks: str) -> bool:
        """Say whether one of these texts is in the path or in the body."""
        return any(mark in self.path or mark in self.body for mark in marks)


def read_trace(path: Path) -> Iterator[Request]:
    """Yield the requests of a trace, in the order of their answers; a line that was cut off ends it."""
    for line in path.read_text().splitlines():
        try:
            yield Request(**json.loads(line))
        except ValueError:
            return


@cache
def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()[:16]


def wrap() -> None:
    """Write down every request from now on."""
    trace = Path(os.environ["TRACE_FILE"]).open("ab", buffering=0)  # noqa: SIM115  it lives as long as the process
    send = ApiServer.request
    own_seconds = 0.0

    async def request(self: ApiServer, method: str, path: str, **options: Any) -> bytes:
        nonlocal own_seconds
        begun, failed = time.monotonic(), ""
        try:
            return await send(self, method, path, **options)
        except BaseException as error:
            failed = type(error).__name__
            raise
        finally:
            ended, cpu_seconds = time.monotonic(), time.process_time()
            token = self.endpoint.token() if self.endpoint.token is not None else ""
            line = {
                "begun": begun,
                "ended": ended,
                "cpu_seconds": cpu_seconds - own_seconds,
                "server": self.endpoint.server,
                "identity": _digest(token),
                "method": method,
                "path": path,
                "params": dict(options.get("params") or {}),
                "content_type": options.get("content_type", "application/json"),
                "body": (options.get("body") or b"").decode(),
                "failed": failed,
            }
            trace.write(msgspec.json.encode(line) + b"\n")
            own_seconds += time.process_time() - cpu_seconds

    ApiServer.request = request  # type: ignore[method-assign]  # that is the point


if __name__ == "__main__":
    wrap()
    runpy.run_module("sublet", run_name="__main__")  # as it is always started
