"""Operators of several versions over the same planes and one ledger, each with a trace of its writes.

They run without election, so that all of them write: what holds between them holds for a leader and its standby too.
"""

import re
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sublet.api.times import parse_instant
from sublet.ledger.entry import EntryKind
from tests.builders.api import claim, gpu_class, lease, tenant
from tests.builders.nodes import gpu_node
from tests.harness.ledger import facts_in
from tests.harness.newer import Newer, crds_in
from tests.harness.process import OperatorProcess
from tests.harness.stack import Stack
from tests.harness.tracing import Request, read_trace
from tests.harness.waiting import wait_for
from tests.planes.binaries import ROOT

ACME: Final = "acme"
NODES: Final = 2
"""Of each of two landlords, with 8 GPUs each."""
_QUIET_SECONDS: Final = 3.0
_NEWS: Final = re.compile(r"/events|/leases/|/gpustatements|authentication\.k8s|authorization\.k8s")
"""Writes that change nothing of what is held."""


@dataclass
class Versions:
    """A hub, two leased clusters, and what runs there."""

    stack: Stack
    _traces: list[Path] = field(default_factory=list)

    @property
    def database(self) -> str:
        """Return the ledger that all of them write."""
        return f"sqlite:///{self.stack.folder}/ledger.sqlite"

    def prepare(self) -> None:
        """Make nodes, leases, a class and a tenant."""
        stack = self.stack
        stack.apply("hub", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ACME}})
        for plane in ("west", "east"):
            stack.apply(plane, *(gpu_node(f"{plane[0]}{i}") for i in range(NODES)))
            stack.apply("hub", lease(plane, committed=8 * NODES))
        share = {"cpuPerGpu": 8, "memoryMiBPerGpu": 65_536}
        stack.apply("hub", gpu_class(hostShare=share), tenant())

    def current(self) -> OperatorProcess:
        """Start an operator of this version."""
        return self._start("current", "tests.harness.tracing")

    def older(self) -> OperatorProcess:
        """Start an operator of an older version."""
        return self._start("older", "tests.harness.older")

    def newer(self, version: Newer) -> OperatorProcess:
        """Apply a newer version's CRDs, as its chart does, and start an operator of it."""
        self.stack.apply("hub", *version.crds)
        return self._start("newer", "tests.harness.tracing", cold=True, **version.settings)

    def put_crds_back(self) -> None:
        """Apply the CRDs of this version, as a rollback of the chart does."""
        self.stack.apply("hub", *crds_in(ROOT / "crds"))

    def _start(
        self, name: str, module: str, *, cold: bool = False, **settings: str
    ) -> OperatorProcess:
        trace = self.stack.folder / f"{name}.trace"
        trace.touch()
        if trace not in self._traces:
            self._traces.append(trace)
        return OperatorProcess(
            self.stack, name, module=module, cold=cold, TRACE_FILE=str(trace),
            SUBLET_LEADER_ELECTION="false", SUBLET_DRIFT_SECONDS="2",
            SUBLET_DATABASE_URL=self.database, **settings,
        ).start()  # fmt: skip

    def order(self, name: str, **spec: Any) -> dict[str, Any]:
        """Make a claim and return it once it is bound."""
        self.stack.apply("hub", claim(name, ACME, **spec))
        return wait_for(f"{name} bound", lambda: self.stack.is_bound(ACME, name), seconds=120)

    def edit(self, name: str, **spec: Any) -> dict[str, Any]:
        """Change a claim and return it once its status describes what it asks for by now."""
        self.stack.apply("hub", claim(name, ACME, **spec))

        def seen() -> dict[str, Any] | None:
            found = self.stack.claim(ACME, name) or {}
            is_seen = found["status"]["observedGeneration"] == found["metadata"]["generation"]
            return found if is_seen else None

        return wait_for(f"{name} is as it was changed", seen)

    def let_go(self, name: str) -> int:
        """Delete a claim, wait until it is gone, and return when it was deleted (ms)."""
        self.stack.kubectl("hub", "-n", ACME, "delete", "gpuclaim", name, "--wait=false")
        found = self.stack.claim(ACME, name)
        at = parse_instant(found["metadata"]["deletionTimestamp"]) if found else 0
        wait_for(f"{name} gone", lambda: self.stack.claim(ACME, name) is None, seconds=120)
        return at

    def writes(self, since_seconds: float = 0.0) -> list[Request]:
        """Return what the operators changed since an instant (monotonic)."""
        found = (x for each in self._traces for x in read_trace(each))
        return [x for x in found if x.changes and x.begun >= since_seconds and not _NEWS.search(x.path)]  # fmt: skip

    def most_written(self, since_seconds: float) -> int:
        """Return how often that was written which was written most often since an instant."""
        return max(Counter(x.path for x in self.writes(since_seconds)).values(), default=0)

    def rest(self) -> None:
        """Wait until nobody writes any more."""

        def is_quiet() -> bool:
            last = max((x.ended for x in self.writes()), default=0.0)
            return time.monotonic() - last > _QUIET_SECONDS

        wait_for("nobody writes any more", is_quiet)

    def billed(self, uid: str) -> list[tuple[str, int]]:
        """Return when a claim's bill began and ended by the ledger: (open or close, ms)."""
        facts = [f for f in facts_in(self.database) if f.claim_uid == uid]
        return [(f.type.value, f.at_ms) for f in facts if f.kind is EntryKind.BOUND]
