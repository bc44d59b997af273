"""What the binder needs from the rest of the operator, as small interfaces."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from sublet.api.event_reasons import EventReason
from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpuclass import GpuClass
from sublet.api.gpulease import GpuLease
from sublet.api.ids import ClaimUID, LeaseUID
from sublet.api.last_word import Leftover
from sublet.binder.access import Grant
from sublet.binder.claims import ClaimWriter
from sublet.binder.rests import Rests
from sublet.binder.slots import Promises, Slots
from sublet.clock import Clock
from sublet.fleet.cluster import LeasedCluster
from sublet.kube.session import ApiServer
from sublet.ledger.port import LedgerPort


class Events(Protocol):
    """Where Events about claims go; never waits, never fails."""

    def note(self, claim: GpuClaim, reason: EventReason, message: str) -> None:
        """Post one Event on the claim; its reason says whether it is a warning."""


class Meter(Protocol):
    """Turns what a claim's status says into lines of the ledger."""

    async def settle(self, claim: GpuClaim) -> None:
        """Bring all lines that the claim's status calls for into the ledger; raises LedgerUnavailable."""


class LeaseLists(Protocol):
    """Writes to leases' lists of what claims left, each a compare-and-set."""

    async def leave(self, lease: GpuLease, left: Leftover) -> None:
        """List what a claim leaves, if it isn't yet; StillThere if the list is full or the lease changed meanwhile."""

    async def change(self, lease: GpuLease, left: Leftover, into: Leftover | None) -> None:
        """Replace one entry, or take it off the list; StillThere if the lease changed meanwhile."""


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
    leases: Callable[[], Iterable[GpuLease]]
    """All leases that are served."""
    class_: Callable[[str], GpuClass | None]
    slots: Callable[[LeaseUID], Slots]
    promises: Promises
    ledger: LedgerPort
    meter: Meter
    lists: LeaseLists
    events: Events
    steps: Steps
    clock: Clock
    token_life_seconds: int
    argocd_namespace: str = ""
    """Claims there have a Secret that Argo CD reads as a cluster; none without."""
    grants: dict[tuple[ClaimUID, str], Grant] = field(default_factory=dict)
    """(claim UID, lease alias) -> the token given last, so that one silent cluster doesn't cost the others' renewal."""
    rests: Rests = field(default_factory=Rests)


class ClusterSilent(Exception):
    """A step can't be done because a leased cluster can't be written to now; try again later."""

    def __init__(self, alias: str, why: str = "it can't be reached now") -> None:
        super().__init__(f"waiting for {alias}: {why}")


class ClusterRefuses(Exception):
    """A leased cluster answers a step with an error; said on the claim, and tried again later."""

    def __init__(self, alias: str, message: str) -> None:
        super().__init__(f"{alias} refuses a step: {message[:500]}")


class StillThere(Exception):
    """Pods or a quarantine hold a node; look again later."""

    def __init__(self, message: str, wait_seconds: float = 1.0, *, rests: bool = False) -> None:
        super().__init__(message)
        self.wait_seconds = wait_seconds
        self.rests = rests
        """It ends by itself, at an instant that is known."""


class LostRace(Exception):
    """The claim can't have what the book gave it; give the rest back and let the book decide again."""

    def __init__(self, message: str, *, detail: str = "", holds_nothing: bool = False) -> None:
        """`detail` is for the log alone: it may tell of other claims, or be of a landlord's making."""
        super().__init__(message)
        self.detail = detail
        self.holds_nothing = holds_nothing
        """It lost at its first node, so this try took nothing; an earlier one may have."""


class Overtaken(Exception):
    """The claim's reservation isn't this one any more: another operator, or time, has decided otherwise."""


class Interrupted(Exception):
    """Something more important is to be done with the claim; stop at this step's end."""
