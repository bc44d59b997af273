"""The output of one planning pass. Each decision names its claim by UID and can be carried out alone."""

from dataclasses import dataclass, replace
from decimal import Decimal

from sublet.api.cancellation import CancellationTerms, GivenUp
from sublet.api.downtime import Downtime
from sublet.api.gpuclaim import Booking
from sublet.api.ids import ClaimUID, TenantName, TenantUID
from sublet.api.outage import Outage
from sublet.api.pending import Offer, PendingReason
from sublet.api.relocation import MoveCause, PlacedNode, ReleaseCause
from sublet.api.times import Millis
from sublet.book.agreed import NOTHING, Agreed


@dataclass(frozen=True, slots=True)
class Reserve:
    """Give these nodes to this claim, if the claim is still as it was (compare-and-set)."""

    claim_uid: ClaimUID
    sequence: int
    tenant: TenantName
    tenant_uid: TenantUID
    price_per_gpu_hour: Decimal
    currency: str
    priority: int
    decided_ms: Millis
    until_ms: Millis | None
    until_cause: ReleaseCause | None
    placements: tuple[PlacedNode, ...]
    """The nodes; none yet for a start to come."""
    bookings: tuple[Booking, ...] = ()
    """What is promised ahead, or was."""
    cancellation: CancellationTerms | None = None
    """What is agreed on giving it up."""
    given_up: tuple[GivenUp, ...] = ()
    """What of the promise was given up already, and is charged."""
    agreed: Agreed = NOTHING
    """What beside the price is agreed on, or was."""

    @property
    def lease_uids(self) -> set[str]:
        """Return the leases that it stands on."""
        return {p.lease_uid for p in self.placements or self.bookings}


@dataclass(frozen=True, slots=True)
class Refuse:
    """Tell the claim why it isn't reserved (now)."""

    claim_uid: ClaimUID
    reason: PendingReason
    message: str
    position: int | None = None
    """Its place among the waiting claims of its class, counted from 1."""
    estimated_ms: Millis | None = None
    """When it could begin as it looks now; no promise."""
    offers: tuple[Offer, ...] = ()
    """What would bind."""
    counts_fleet: bool = False
    """Its message and offers have numbers of the fleet though those of its reason have none."""


@dataclass(frozen=True, slots=True)
class Warn:
    """Tell a claim that what it was promised ahead is short, and of what. The promise stands."""

    claim_uid: ClaimUID
    message: str
    """Empty: it isn't short any more."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Tell a bound claim of an end that it didn't choose, or that its nodes go, and when."""

    claim_uid: ClaimUID
    reason: str
    """The stage: reason of the condition Expiring."""
    message: str


@dataclass(frozen=True, slots=True)
class Extend:
    """Move the end of a reserved or bound claim (its duration was changed)."""

    claim_uid: ClaimUID
    until_ms: Millis | None
    until_cause: ReleaseCause | None
    given_up: tuple[GivenUp, ...] = ()
    """What the tenant is charged for shortening it."""


@dataclass(frozen=True, slots=True)
class Take:
    """Start the release of a reserved or bound claim."""

    claim_uid: ClaimUID
    cause: ReleaseCause
    release_ms: Millis
    """When the tenant's meter stops."""
    given_up: tuple[GivenUp, ...] = ()
    """What the tenant is charged for giving it up."""
    told_ms: Millis | None = None
    """The end that the hub must have told a bound claim of before; None: it needs no notice."""


@dataclass(frozen=True, slots=True)
class Relocate:
    """Make other nodes ready for a bound claim, beside those that it has."""

    claim_uid: ClaimUID
    sequence: int
    cause: MoveCause
    decided_ms: Millis
    cutover_ms: Millis | None
    """When they take the place of the old ones; None: as soon as they are ready."""
    until_ms: Millis | None
    until_cause: ReleaseCause | None
    placements: tuple[PlacedNode, ...]
    """All nodes that it will have."""


@dataclass(frozen=True, slots=True)
class CutOver:
    """Put the nodes that are ready in the place of the old ones."""

    claim_uid: ClaimUID
    at_ms: Millis
    """To when the old ones are billed, and from when the new ones are."""
    left_ms: Millis | None = None
    """To when the old ones are billed, if that is earlier: they were lost before the new ones were ready."""


@dataclass(frozen=True, slots=True)
class Degrade:
    """Tell a bound claim that nodes of it can't be used, and what is done about it."""

    claim_uid: ClaimUID
    reason: str
    message: str
    """Empty: all can be used again."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Tell a bound claim that a cluster of it doesn't answer, or that all answer again."""

    claim_uid: ClaimUID
    reason: str
    """The stage: reason of the condition Reachable."""
    message: str
    """Empty: all answer again."""
    outages: tuple[Outage, ...]
    """All disputed times of the claim from now on, once the lines of those that it has are in the ledger."""
    unsettled: tuple[Outage, ...]
    """The same until then: nothing is dropped."""

    @property
    def lossless(self) -> "Silence":
        """Return what may be told while the ledger may lack lines."""
        return replace(self, outages=self.unsettled)


@dataclass(frozen=True, slots=True)
class Fail:
    """Write down which GPUs of a bound claim are known not to work, and since when."""

    claim_uid: ClaimUID
    downtimes: tuple[Downtime, ...]
    """All downtimes of the claim from now on, once the lines of those that it has are in the ledger."""
    unsettled: tuple[Downtime, ...]
    """The same until then: nothing is dropped."""

    @property
    def lossless(self) -> "Fail":
        """Return what may be told while the ledger may lack lines."""
        return replace(self, downtimes=self.unsettled)


@dataclass(frozen=True, slots=True)
class Dearer:
    """Tell a bound claim that its floating price is above what it said that it pays, or isn't any more."""

    claim_uid: ClaimUID
    reason: str
    message: str
    """Empty: it isn't any more."""


Decision = (
    Reserve
    | Refuse
    | Warn
    | Notice
    | Degrade
    | Silence
    | Fail
    | Dearer
    | Extend
    | Relocate
    | CutOver
    | Take
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now, and when to look again at the latest if nothing happens."""

    decisions: tuple[Decision, ...]
    next_due_ms: Millis | None
    unseen: tuple[PlacedNode, ...] = ()
    """Nodes that claims hold and their clusters don't list: to be asked for by name."""
