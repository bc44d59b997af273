"""What the binder needs from the rest of the operator, as small interfaces."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpuclass import GpuClass
from sublet.api.gpulease import GpuLease
from sublet.api.ids import LeaseUID
from sublet.binder.claims import ClaimWriter
from sublet.binder.slots import Promises, Slots
from sublet.clock import Clock
from sublet.fleet.cluster import LeasedCluster
from sublet.kube.session import ApiServer
from sublet.ledger.port import LedgerPort


class Events(Protocol):
    """Where Events about claims go; never waits, never fails."""

    def note(self, claim: GpuClaim, reason: str, message: str, *, warning: bool = False) -> None:
        """Post one Event on the claim."""


class Meter(Protocol):
    """Turns what a claim's status says into lines of the ledger."""

    async def settle(self, claim: GpuClaim) -> None:
        """Bring all lines that the claim's status calls for into the ledger; raises LedgerUnavailable."""


class Steps(Protocol):
    """Where the duration of each step is recorded."""

    def took(self, step: str, seconds: float) -> None:
        """Record one step's duration."""


@dataclass(frozen=True, slots=True)
class Tools:
    """All that a protocol works with."""

    hub: ApiServer
    claims: ClaimWriter
    cluster: Callable[[LeaseUID], LeasedCluster | None]
    """A lease's connection, None while nothing may be written there."""
    lease: Callable[[LeaseUID], GpuLease | None]
    class_: Callable[[str], GpuClass | None]
    slots: Callable[[LeaseUID], Slots]
    promises: Promises
    ledger: LedgerPort
    meter: Meter
    events: Events
    steps: Steps
    clock: Clock
    token_life_seconds: int


class ClusterSilent(Exception):  # noqa: N818  the name is the state
    """A step can't be done because a leased cluster can't be written to now; try again later."""

    def __init__(self, alias: str) -> None:
        super().__init__(f"waiting for {alias}: it can't be reached now")


class LostRace(Exception):  # noqa: N818
    """The claim can't have what the book gave it; give the rest back and let the book decide again."""


class Interrupted(Exception):  # noqa: N818
    """Something more important is to be done with the claim; stop at this step's end."""
