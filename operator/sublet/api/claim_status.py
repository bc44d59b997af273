"""A claim's next status, state by state: the one place of the table of Ready, kstatus and conditions.

Pure: a claim and what happened in, a whole new status out. Who writes it decides with a compare-and-set. A
condition keeps its lastTransitionTime while its status stays, so an unchanged state gives an unchanged status.

| state | Ready | also | kstatus |
|---|---|---|---|
| bound, promised ahead, suspended, ended | True | | Current |
| waiting for capacity, binding, releasing | False | Reconciling=True | InProgress |
| misconfigured, quota, budget, unfit, price, no lease, tenant suspended | False | Stalled=True | Failed |
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from sublet.api.cancellation import GivenUp
from sublet.api.common import Condition, Status, find_condition, next_condition
from sublet.api.gpuclaim import Access, Allocation, ClaimStatus, GpuClaim, Release
from sublet.api.pending import Offer, Pending, PendingReason
from sublet.api.relocation import ReleaseCause
from sublet.api.times import Millis, format_instant
from sublet.api.wording import how_many

_PASSING: Final = frozenset(
    {PendingReason.WAITING_FOR_CAPACITY, PendingReason.LEASE_UNREACHABLE, PendingReason.RELEASING}
)
"""Reasons that end by themselves; the others need somebody to change something."""

LOST_RACE: Final = "LostRace"
LATE: Final = "Late"
_WAITS: Final[Mapping[ReleaseCause, str]] = {
    ReleaseCause.PREEMPTED: "the GPUs were taken back for a claim of higher priority; the claim waits for others",
    ReleaseCause.MAINTENANCE: "the GPUs were taken back before maintenance; the claim waits for others",
    ReleaseCause.BUDGET_EXHAUSTED: "the tenant's budget is used up; the claim waits for money",
    ReleaseCause.TENANT_SUSPENDED: "the tenant is suspended; the claim waits until it isn't",
}
"""Causes after which a claim waits again by itself -> what it is told."""
_NOT_PENDING: Final[Mapping[str, object]] = {"pending": None, "offers": ()}
_ANEW: Final[Mapping[str, object]] = {
    **_NOT_PENDING,
    "release": None,
    "access": None,
    "move": None,
    "leaving": (),
    "outages": (),
    "downtimes": (),
}
"""What a new reservation leaves behind: its lines are in the ledger, and all is free."""
_WHILE_TRUE: Final = frozenset({"Reconciling", "Stalled", "Degraded"})
_WHILE_BOUND: Final = frozenset({"Reachable", "AccessRenewed", "PriceExceeded"})


def waiting(
    claim: GpuClaim, pending: Pending, now_ms: Millis, offers: tuple[Offer, ...] = ()
) -> ClaimStatus:
    """Not reserved, with the reason and with what would bind; a suspended claim is as it should be."""
    reason = pending.reason.value
    suspended = pending.reason is PendingReason.SUSPENDED and claim.spec.suspended
    progress = "Reconciling" if pending.reason in _PASSING else "Stalled"
    return next_status(
        claim,
        now_ms,
        ready=(Status.TRUE if suspended else Status.FALSE, reason, pending.message),
        progress=None if suspended else progress,
        states={"Reserved": (Status.FALSE, reason), "Bound": (Status.FALSE, reason)},
        update={"pending": pending, "offers": offers},
    )


def reserved(claim: GpuClaim, allocation: Allocation, now_ms: Millis) -> ClaimStatus:
    """The book holds GPUs for it; nodes aren't handed over yet."""
    message = f"{how_many(allocation.gpus, 'GPU', 'is', 'are')} reserved; the claim is being bound"
    return next_status(
        claim,
        now_ms,
        ready=(Status.FALSE, "Binding", message),
        progress="Reconciling",
        states={
            "Reserved": (Status.TRUE, "Reserved"),
            "Bound": (Status.FALSE, "Binding"),
            "Releasing": (Status.FALSE, "NotReleasing"),
        },
        update={**_ANEW, "allocation": allocation},
    )


def booked(
    claim: GpuClaim,
    allocation: Allocation,
    now_ms: Millis,
    bound_reason: str = PendingReason.WAITING_FOR_START.value,
) -> ClaimStatus:
    """The book holds GPUs for it from its start on; which nodes they are is decided then."""
    start = claim.spec.schedule.start_time
    when = format_instant(start) if start is not None else "its start"
    said = f"{how_many(allocation.gpus, 'GPU', 'is', 'are')} promised from {when} on"
    return next_status(
        claim,
        now_ms,
        ready=(Status.TRUE, PendingReason.WAITING_FOR_START.value, said),
        progress=None,
        states={
            "Reserved": (Status.TRUE, "Reserved"),
            "Bound": (Status.FALSE, bound_reason),
            "Releasing": (Status.FALSE, "NotReleasing"),
        },
        update={**_ANEW, "allocation": allocation},
    )


def late(claim: GpuClaim, message: str, now_ms: Millis) -> ClaimStatus:
    """What was promised ahead isn't there, or won't be: say what is missing, or "" once it is mended. The promise stands."""
    if not message:
        return booked(claim, allocation_of(claim), now_ms)
    start = claim.spec.schedule.start_time
    begun = start is not None and start <= now_ms
    return next_status(
        claim,
        now_ms,
        ready=(Status.FALSE, LATE, message) if begun else ready_of(claim),
        progress="Reconciling" if begun else None,
        states={"Degraded": (Status.TRUE, LATE)},
        messages={"Degraded": message},
        update={},
    )


def is_late(claim: GpuClaim) -> bool:
    """Say whether the claim says that what it was promised is short."""
    found = find_condition(claim.status.conditions, "Degraded")
    return found is not None and found.status is Status.TRUE and found.reason == LATE


def delayed(claim: GpuClaim, message: str, now_ms: Millis) -> ClaimStatus:
    """Reserved, but a step of binding or releasing waits for something: say for what."""
    found = find_condition(claim.status.conditions, "Ready")
    reason = found.reason if found is not None else "Binding"
    leaving = find_condition(claim.status.conditions, "Releasing")
    is_leaving = leaving is not None and leaving.status is Status.TRUE
    return next_status(
        claim,
        now_ms,
        ready=(Status.FALSE, reason, message),
        progress="Reconciling",
        states={"Releasing": (Status.TRUE, leaving.reason)} if leaving and is_leaving else {},
        messages={"Releasing": message},
        update={},
    )


def giving_back(claim: GpuClaim, message: str, now_ms: Millis) -> ClaimStatus:
    """It lost a node and gives back the others it took; until that is done it is still reserved.

    Written before anything is taken away, so that nobody else can write Bound meanwhile and a restart goes on giving
    back instead of binding.
    """
    return next_status(
        claim,
        now_ms,
        ready=(Status.FALSE, LOST_RACE, message),
        progress="Reconciling",
        states={"Bound": (Status.FALSE, LOST_RACE)},
        messages={"Bound": message},  # Ready says what the giving back waits for, if it must
        update={},
    )


def is_giving_back(claim: GpuClaim) -> bool:
    """Say whether a reserved claim gives back what it took instead of being bound."""
    found = find_condition(claim.status.conditions, "Ready")
    return found is not None and found.status is Status.FALSE and found.reason == LOST_RACE


def unreserved(claim: GpuClaim, message: str, now_ms: Millis) -> ClaimStatus:
    """It lost the race for a node: back to the book. The allocation stays, for its sequence.

    What was promised ahead stays promised, and gets other nodes.
    """
    allocation = allocation_of(claim)
    if allocation.bookings:
        again = allocation.model_copy(update={"placements": (), "vacated_time": None})
        return booked(claim, again, now_ms, bound_reason=LOST_RACE)
    pending = Pending(reason=PendingReason.WAITING_FOR_CAPACITY, message=message[:1024])
    return next_status(
        claim,
        now_ms,
        ready=(Status.FALSE, pending.reason.value, message),
        progress="Reconciling",
        states={"Reserved": (Status.FALSE, LOST_RACE), "Bound": (Status.FALSE, LOST_RACE)},
        update={"pending": pending},
    )


def lost_race(claim: GpuClaim) -> bool:
    """Say whether the last thing that happened to a claim was that it lost the race for a node."""
    if is_giving_back(claim):
        return False
    found = find_condition(claim.status.conditions, "Bound")
    return found is not None and found.status is Status.FALSE and found.reason == LOST_RACE


def bound(claim: GpuClaim, bound_ms: Millis, access: Access, now_ms: Millis) -> ClaimStatus:
    """Nodes are locked, isolation is live, access is handed over; billed from `bound_ms`."""
    allocation = allocation_of(claim).model_copy(update={"bound_time": bound_ms})
    return next_status(
        claim,
        now_ms,
        ready=handed_over(claim, allocation),
        progress=None,
        states={"Reserved": (Status.TRUE, "Reserved"), "Bound": (Status.TRUE, "Bound")},
        update={**_NOT_PENDING, "allocation": allocation, "access": access},
    )


def handed_over(claim: GpuClaim, allocation: Allocation) -> tuple[Status, str, str]:
    """Return the Ready condition of a bound claim: what it has of what it asked for."""
    part = f"{allocation.gpus} of " if allocation.gpus < claim.spec.gpus else ""
    some = f"{part}{how_many(max(claim.spec.gpus, allocation.gpus), 'GPU')}"
    return Status.TRUE, "Bound", f"{some} on {how_many(len(allocation.placements), 'node')}"


def standing_of(claim: GpuClaim, type_: str) -> tuple[Condition, ...]:
    """Return a condition if it is true: what a write that says something else must not take away."""
    found = find_condition(claim.status.conditions, type_)
    return (found,) if found is not None and found.status is Status.TRUE else ()


def extended(
    claim: GpuClaim,
    until_ms: Millis | None,
    cause: ReleaseCause | None,
    now_ms: Millis,
    given_up: tuple[GivenUp, ...] = (),
) -> ClaimStatus:
    """Its end moved; what was given up by that too late is charged.

    A move that doesn't change its end goes along, but for an end that somebody else brings nearer: it may be spared.
    """
    allocation, move = allocation_of(claim), claim.status.move
    later = until_ms is None or until_ms > (allocation.until_time or until_ms)
    chosen = later or cause is ReleaseCause.COMPLETED
    if move is not None and chosen and move.end == allocation.end:
        move = move.model_copy(update={"until_time": until_ms, "until_cause": cause})
    update: dict[str, object] = {"until_time": until_ms, "until_cause": cause}
    terms = allocation.cancellation
    if terms is not None and until_ms is not None and claim.spec.schedule.duration_seconds:
        # without a duration nothing longer is asked for; what something else ends is asked for at least until then
        asked = until_ms if cause is ReleaseCause.COMPLETED else max(terms.until_time, until_ms)
        update["cancellation"] = terms.model_copy(update={"until_time": asked})
    update["given_up"] = (*allocation.given_up, *given_up)
    allocation = allocation.model_copy(update=update)
    return acknowledged(claim).model_copy(update={"allocation": allocation, "move": move})


def acknowledged(claim: GpuClaim) -> ClaimStatus:
    """Its spec changed and what the status says holds of the changed one too."""
    observed = {"observed_generation": claim.metadata.generation}
    conditions = tuple(c.model_copy(update=observed) for c in claim.status.conditions)
    return claim.status.model_copy(update={**observed, "conditions": conditions})


def releasing(
    claim: GpuClaim, release: Release, now_ms: Millis, given_up: tuple[GivenUp, ...] = ()
) -> ClaimStatus:
    """The GPUs are being taken back; the tenant's meter has stopped. They stay held until they are free."""
    charged = (*allocation_of(claim).given_up, *given_up)
    allocation = allocation_of(claim).model_copy(update={"given_up": charged})
    # of a reservation that was never bound nobody knows in which version it leaves the Secret
    access, earlier = claim.status.access, claim.status.earlier_secret_version
    message = f"the GPUs are being taken back ({release.cause})"
    return next_status(
        claim,
        now_ms,
        ready=(Status.FALSE, "Releasing", message),
        progress="Reconciling",
        states={
            "Reserved": (Status.TRUE, "Reserved"),
            "Bound": (Status.FALSE, "Releasing"),
            "Releasing": (Status.TRUE, release.cause.value),
        },
        update={
            **_NOT_PENDING,
            "release": release,
            "access": None,
            "earlier_secret_version": access.secret_version if access is not None else earlier,
            "allocation": allocation,
        },
    )


def released(claim: GpuClaim, now_ms: Millis) -> ClaimStatus:
    """Nothing is held any more: ended for good, or waiting again where the cause can go."""
    release = claim.status.release
    cause = release.cause if release is not None else ReleaseCause.DELETED
    states = {
        "Reserved": (Status.FALSE, cause.value),
        "Bound": (Status.FALSE, cause.value),
        "Releasing": (Status.FALSE, "Released"),
    }
    if find_condition(claim.status.conditions, "Expiring") is not None:
        states["Expiring"] = (Status.FALSE, "Released")
    if cause.is_final:
        states["Ended"] = (Status.TRUE, cause.value)
        message = "the claim has ended; delete it and make a new one to claim again"
    else:
        message = _WAITS.get(cause, "the claim is suspended and holds nothing")
    waits = cause in _WAITS
    return next_status(
        claim,
        now_ms,
        ready=(Status.FALSE if waits else Status.TRUE, cause.value, message),
        progress="Reconciling" if waits else None,
        states=states,
        update={
            **({} if cause.is_final else {"used_milliseconds": _used(claim)}),
            "move": None,
            "leaving": tuple(
                x if x.freed_time is not None else x.model_copy(update={"freed_time": now_ms})
                for x in claim.status.leaving
            ),
        },
    )


def _used(claim: GpuClaim) -> int | None:
    """Return how long the claim's terms ran in all, the one that ends now included."""
    allocation, release, before = (
        claim.status.allocation,
        claim.status.release,
        claim.status.used_milliseconds,
    )
    if allocation is None or allocation.bound_time is None or release is None:
        return before
    since = allocation.since_time or allocation.bound_time
    return (before or 0) + max(0, release.release_time - since)


def released_ms(claim: GpuClaim) -> Millis | None:
    """Return when the release was done, None while it isn't."""
    found = find_condition(claim.status.conditions, "Releasing")
    done = found is not None and found.status is Status.FALSE and found.reason == "Released"
    return found.last_transition_time if found is not None and done else None


def next_status(
    claim: GpuClaim,
    now_ms: Millis,
    *,
    ready: tuple[Status, str, str],
    progress: str | None,
    states: dict[str, tuple[Status, str]],
    update: dict[str, object],
    messages: Mapping[str, str] = MappingProxyType({}),
) -> ClaimStatus:
    """Return the status with these conditions set; Reconciling, Stalled and Degraded stand only while they are true."""
    # of a claim that isn't as it was bound, whether its clusters answer is said with what it waits for
    gone = _WHILE_TRUE | _WHILE_BOUND if "Bound" in states else _WHILE_TRUE
    old = {c.type: c for c in claim.status.conditions if c.type not in gone}
    fresh = {
        "Ready": ready,
        **{t: (status, reason, messages.get(t, "")) for t, (status, reason) in states.items()},
    }
    if progress is not None:
        fresh[progress] = (Status.TRUE, ready[1], ready[2])
    before = {c.type: c for c in claim.status.conditions}
    for type_, found in fresh.items():
        last = before.get(type_)
        old[type_] = next_condition(type_, found, last, claim.metadata.generation, now_ms)
    return claim.status.model_copy(
        update={
            **update,
            "observed_generation": claim.metadata.generation,
            "conditions": tuple(old[type_] for type_ in sorted(old)),
        }
    )


def ready_of(claim: GpuClaim) -> tuple[Status, str, str]:
    """Return the Ready condition as it is."""
    found = find_condition(claim.status.conditions, "Ready")
    if found is None:
        return (Status.UNKNOWN, "WaitingForOperator", "")
    return (found.status, found.reason, found.message)


def allocation_of(claim: GpuClaim) -> Allocation:
    """Return the claim's allocation; ValueError if it never had one."""
    if claim.status.allocation is None:
        raise ValueError(f"claim {claim.metadata.key} has no allocation")
    return claim.status.allocation
