"""Why a claim isn't reserved, and what would bind instead: the part of its status that a refusal writes.

Decided by the book, written by the hub, read by tenants. Reasons and kinds of offers are closed sets for machines.
"""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from sublet.api.common import Gpus, Instant, ObjectName, Price, Seconds, Word
from sublet.api.schema import ApiModel, list_set
from sublet.api.topology import Scope

NOT_LOOKED_AT: Final = " (what it would get is still being worked out)"
"""At the end of a message: nobody has looked yet what would bind, so that no offers doesn't mean that there are none."""


class PendingReason(StrEnum):
    """Why a claim waits or is refused: a closed set that machines may match."""

    NO_MATCHING_LEASE = "NoMatchingLease"
    WAITING_FOR_CAPACITY = "WaitingForCapacity"
    WAITING_FOR_START = "WaitingForStart"
    WAITING_FOR_APPROVAL = "WaitingForApproval"
    EXCEEDS_QUOTA = "ExceedsQuota"
    EXCEEDS_BUDGET = "ExceedsBudget"
    EXCEEDS_LEASE_TERM = "ExceedsLeaseTerm"
    TOPOLOGY_UNFIT = "TopologyUnfit"
    PRICE_UNMET = "PriceUnmet"
    RESIDENCY_UNMET = "ResidencyUnmet"
    LEASE_UNREACHABLE = "LeaseUnreachable"
    MISCONFIGURED = "Misconfigured"
    NO_TENANT = "NoTenant"
    SUSPENDED = "Suspended"
    RELEASING = "Releasing"


class Pending(ApiModel):
    """Why the claim isn't reserved."""

    reason: PendingReason
    """Why, for machines."""
    message: Annotated[str, Field(max_length=1024)]
    """Why, for people, with counts."""
    position: Annotated[int | None, Field(ge=1, json_schema_extra={"format": "int32"})] = None
    """At most this place among the waiting claims of its class: 1, 2, 3, 5, 10, 20, 50 …"""
    estimated_start_time: Instant | None = None
    """When it could begin as it looks now. An estimate; only Reserved is a promise."""


class OfferKind(StrEnum):
    """What an offer changes of a claim."""

    AS_ASKED = "AsAsked"
    LATER = "Later"
    SHORTER = "Shorter"
    OTHER_SIZE = "OtherSize"
    ELSEWHERE = "Elsewhere"
    OTHER_CLASS = "OtherClass"
    HIGHER_PRICE = "HigherPrice"
    WIDER = "Wider"
    SPLIT = "Split"


class Offer(ApiModel):
    """A change with which the claim would bind, as the fleet is now. Not held for anybody."""

    change: OfferKind
    """What it changes."""
    class_name: ObjectName
    """The class."""
    gpus: Gpus
    """GPUs of each claim."""
    claims: Annotated[int, Field(ge=1, json_schema_extra={"format": "int32"})] = 1
    """How many claims of that size make up what was asked for."""
    start_time: Instant | None = None
    """From when; now without."""
    end_time: Instant | None = None
    """Until when at the latest; as asked for without."""
    duration_seconds: Annotated[Seconds | None, Field(ge=1)] = None
    """With this schedule.durationSeconds; as asked for without."""
    jurisdictions: Annotated[
        tuple[Word, ...], Field(max_length=16, json_schema_extra=list_set())
    ] = ()
    """Where, if elsewhere than asked for."""
    scope: Annotated[Scope | None, Field()] = None
    """The topology's scope, if wider than asked for."""
    price_per_gpu_hour: Price
    """What it costs."""
    currency: Annotated[str, Field(max_length=3)]
    """Its currency."""


_TOLD_EXACTLY: Final = 3


def coarse(position: int) -> int:
    """Return a position in steps of 1, 2, 3, 5, 10, 20, 50 …: one admission must not rewrite every waiting claim."""
    if position <= _TOLD_EXACTLY:
        return position
    power = 1
    while True:
        for step in (5 * power, 10 * power, 20 * power):
            if position <= step:
                return step
        power *= 10
