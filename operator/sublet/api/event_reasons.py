"""Every Event that a claim may get: its reason, when it is sent and what its reader can do.

One table, so that Events stay few and none comes without a use: whoever sends one takes its reason from here, and the
reference page is made of it. A condition's reason that becomes an Event has the same name here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class EventReason(StrEnum):
    """The reason of an Event."""

    APPROVED = "Approved"
    PROMISED = "Promised"
    BOUND = "Bound"
    MOVING = "Moving"
    MOVED = "Moved"
    RELEASED = "Released"
    LOST_RACE = "LostRace"
    RELEASE_OVERDUE = "ReleaseOverdue"
    RELEASE_FORCED = "ReleaseForced"
    REPAIRED = "Repaired"
    NAMESPACE_REPLACED = "NamespaceReplaced"
    ACCESS_RENEWED = "AccessRenewed"
    ENDS_WITHIN_30_DAYS = "EndsWithin30Days"
    ENDS_WITHIN_7_DAYS = "EndsWithin7Days"
    ENDS_WITHIN_24_HOURS = "EndsWithin24Hours"
    ENDS_WITHIN_1_HOUR = "EndsWithin1Hour"
    PREEMPTED = "Preempted"
    BUDGET_EXHAUSTED = "BudgetExhausted"
    NODE_FAILED = "NodeFailed"
    NODE_IN_DOUBT = "NodeInDoubt"
    FOREIGN_POD = "ForeignPod"
    PROFILE_CHANGED = "ProfileChanged"
    ISOLATION_DEGRADED = "IsolationDegraded"
    ISOLATION_UNPROVEN = "IsolationUnproven"
    NAMESPACE_TERMINATING = "NamespaceTerminating"
    ACCESS_LOST = "AccessLost"
    UNREACHABLE_FOR_1_HOUR = "UnreachableFor1Hour"
    LEASE_MISSING = "LeaseMissing"
    CLOCK_BEHIND = "ClockBehind"
    ABOVE_MAX_PRICE = "AboveMaxPrice"
    SPEC_UNREAD = "SpecUnread"
    HUB_BEHIND = "HubBehind"


@dataclass(frozen=True, slots=True)
class EventKind:
    """One row of the table."""

    when: str
    then: str
    is_warning: bool = True


_ENDS: Final = "what the message says: nothing where it will be moved, else save the work"

EVENTS: Final[Mapping[EventReason, EventKind]] = MappingProxyType(
    {
        EventReason.APPROVED: EventKind("a claim that somebody approved gets its GPUs", "nothing", is_warning=False),
        EventReason.PROMISED: EventKind("GPUs are kept for it from its start on", "nothing", is_warning=False),
        EventReason.BOUND: EventKind("its GPUs are handed over", "`sublet kubeconfig` is the way in", is_warning=False),
        EventReason.MOVED: EventKind("other nodes took the place of some or all of its nodes", "start the work on them; read the kubeconfig again", is_warning=False),
        EventReason.RELEASED: EventKind("its GPUs were taken back, for the cause in the message", "what the condition `Ready` says", is_warning=False),
        EventReason.MOVING: EventKind("other nodes are ready beside its own, as its lease ends", "move the work there until the instant in the message"),
        EventReason.ENDS_WITHIN_30_DAYS: EventKind("its lease ends, or maintenance begins, in 30 days", _ENDS),
        EventReason.ENDS_WITHIN_7_DAYS: EventKind("the same, 7 days before", _ENDS),
        EventReason.ENDS_WITHIN_24_HOURS: EventKind("the same, 24 hours before", _ENDS),
        EventReason.ENDS_WITHIN_1_HOUR: EventKind("the same, 1 hour before", _ENDS),
        EventReason.PREEMPTED: EventKind("a claim of higher priority needs its GPUs", "save the work until the instant in the message"),
        EventReason.BUDGET_EXHAUSTED: EventKind("its tenant's budget pays for no more", "save the work, or ask for a larger budget"),
        EventReason.NODE_FAILED: EventKind("nodes of it can't be used", "what the message says: they are replaced, or `replacement: OnFailure` is to be set"),
        EventReason.UNREACHABLE_FOR_1_HOUR: EventKind("a cluster of it hasn't answered for an hour, or its access there is about to end", "ask the platform team"),
        EventReason.LEASE_MISSING: EventKind("the lease of its nodes isn't on the hub, or can't be read", "ask the platform team"),
        EventReason.ABOVE_MAX_PRICE: EventKind("its floating price rose above its `maxPricePerGpuHour`", "suspend or delete it, or raise the limit"),
        EventReason.SPEC_UNREAD: EventKind("it holds GPUs, and its spec was changed to something that can't be read", "write it as it should be; until then it goes on as it was"),
        EventReason.LOST_RACE: EventKind("a node that it was to get was gone", "nothing: others are looked for"),
        EventReason.REPAIRED: EventKind("something of it that was changed by hand is as it was again", "find out who changed it"),
        EventReason.NAMESPACE_REPLACED: EventKind("its namespace was deleted, and it has another", "read the kubeconfig again"),
        EventReason.ACCESS_RENEWED: EventKind("its Secret was deleted or changed, and made anew", "read the kubeconfig again"),
        EventReason.NODE_IN_DOUBT: EventKind("the marks of its node disagree with it and can't be put back", "the platform team looks at the node ([drift](../drift.md))"),
        EventReason.FOREIGN_POD: EventKind("a pod that is no claim's holds GPUs of its node", "the platform team has it removed"),
        EventReason.PROFILE_CHANGED: EventKind("MIG, sharing or the product of its node was changed", "the platform team asks the landlord"),
        EventReason.ISOLATION_DEGRADED: EventKind("what keeps it apart was changed and can't be put back", "the platform team does what the message says"),
        EventReason.ISOLATION_UNPROVEN: EventKind("the policies of its cluster don't act as they should", "the platform team runs `sublet onboard` again"),
        EventReason.NAMESPACE_TERMINATING: EventKind("somebody deleted its namespace, which isn't gone yet", "what the message says is in the way must end"),
        EventReason.ACCESS_LOST: EventKind("the name of its Secret is taken by another", "delete or rename that one"),
        EventReason.HUB_BEHIND: EventKind("by the ledger it ended, or came to other nodes, and the hub, which was put back to an older state, doesn't show it", "the platform team brings it to its end ([backup](../backup.md#a-hub-whose-etcd-was-restored))"),
        EventReason.CLOCK_BEHIND: EventKind("the operator's clock is behind the claim's own begin", "the platform team sets the clock right"),
        EventReason.RELEASE_OVERDUE: EventKind("its release hangs, or nodes that it left aren't free two minutes later", "what the message says; [incidents](../incidents.md)"),
        EventReason.RELEASE_FORCED: EventKind("a person ended a release that hung", "nothing"),
    }
)  # fmt: skip
"""Reason -> its row, in the order of the page."""
