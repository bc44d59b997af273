"""A lease's next status from what is known of its cluster, its nodes and its claims. Pure.

A condition keeps its lastTransitionTime while its status stays, and the inventory its changedTime while its counts
stay, so that nothing is written at rest.
"""

from dataclasses import dataclass
from typing import Final

from sublet.api.common import Status, next_condition
from sublet.api.gpulease import GpuLease, InventoryStatus, LeaseStatus
from sublet.api.lease_terms import Option
from sublet.api.reading import SPEC_UNREAD, goes_on
from sublet.api.times import MS_PER_SECOND, Millis, format_instant
from sublet.api.wording import how_many
from sublet.book.holdings import Term
from sublet.book.inventory import LeaseInventory, Reach
from sublet.book.options import exercised_late, open_options, seen_exercised
from sublet.book.outlook import outlook
from sublet.book.steps import FOREVER
from sublet.fleet.counts import counted
from sublet.fleet.facts import NOT_LOOKED, OLDER_ONBOARDING, LeaseFacts
from sublet.fleet.lost import LOST, Found, is_undecided, last_seen, lost_condition, taking_effect
from sublet.kube.skew import SYNCED_SECONDS

EXPIRING_SECONDS: Final = 30 * 86_400
"""A lease is Expiring in its last thirty days."""


MOST_SHOWN: Final = 8
"""So many missing rights are named."""
_NEEDED: Final = (
    "CredentialsValid",
    "IdentityConfirmed",
    "Reachable",
    "RightsComplete",
    "IsolationReady",
)
"""Without these nothing of a lease is sold."""
_ANSWERS: Final[Found] = (Status.TRUE, "Answers", "the cluster answers")


@dataclass(frozen=True, slots=True)
class Held:
    """GPUs of a lease that claims hold, by the hub."""

    reserved: int = 0
    bound: int = 0
    terms: tuple[Term, ...] = ()
    """The same GPUs, each with its end."""
    unread: tuple[str, ...] = ()
    """Names of claims that hold nobody knows how much of it: they can't be read."""


def lease_status(
    lease: GpuLease,
    facts: LeaseFacts,
    inventory: LeaseInventory,
    held: Held,
    now_ms: Millis,
    *,
    lived_ms: Millis | None = None,
) -> LeaseStatus:
    """Return the whole status; equal to the old one if nothing changed.

    `lived_ms`: until when a leader before us is known to have lived.
    """
    seen_ms = last_seen(lease, facts, lived_ms)
    lost = taking_effect(lease, facts, seen_ms, now_ms)
    counts = counted(
        lease,
        inventory,
        now_ms,
        reserved=held.reserved,
        bound=held.bound,
        is_lost=lost is not None,
        is_closed=bool(held.unread),
    )
    found = {
        "CredentialsValid": _credentials(facts),
        "Reachable": _ANSWERS if is_undecided(lease, facts) else _reachable(facts),
        "IdentityConfirmed": _identity(facts),
        "IsolationReady": _isolation(facts),
        "RightsComplete": _rights(facts),
        "ClockSynced": _clock(facts),
        "CapacityMet": _capacity(facts, counts),
        "Expiring": _expiring(lease, now_ms),
        "Orphaned": _orphaned(facts),
        "Overcommitted": _overcommitted(counts, held),
    }
    seen = seen_exercised(lease, now_ms)
    if lease.spec.commitment.options:
        found["OptionsOpen"] = _options(lease, exercised_late(lease, seen), now_ms)
    word = lost_condition(lease, lost, facts, now_ms)
    if word is not None:
        found[LOST] = word
    found["Ready"] = (
        (Status.FALSE, *word[1:]) if word and lost else _ready(lease, found, held, now_ms)
    )
    before = {c.type: c for c in lease.status.conditions}
    return lease.status.model_copy(
        update={
            "observed_generation": lease.metadata.generation,
            "conditions": tuple(
                next_condition(
                    type_, found[type_], before.get(type_), lease.metadata.generation, now_ms
                )
                for type_ in sorted(found)
            ),
            "cluster_uid": lease.status.cluster_uid or facts.cluster_uid,
            "credential_version": facts.credential_version or lease.status.credential_version,
            "kubernetes_version": facts.kubernetes_version or lease.status.kubernetes_version,
            "inventory": counts,
            "exercised_options": seen,
            "last_seen_time": seen_ms,
            "lost": lost,
            "outlook": outlook(
                lease,
                delivered=counts.delivered,
                healthy=counts.healthy,
                terms=(*held.terms, _beyond(held, inventory)),
                now_ms=now_ms,
            ),
        }
    )


def _credentials(facts: LeaseFacts) -> Found:
    if facts.credentials_error is not None:
        return Status.FALSE, "Refused", facts.credentials_error
    if facts.credentials_checked:
        return Status.TRUE, "Accepted", "the cluster accepts the credential"
    return Status.UNKNOWN, "NotTried", "the cluster hasn't answered yet"


def _reachable(facts: LeaseFacts) -> Found:
    if facts.reach is Reach.REACHABLE:
        return _ANSWERS
    if facts.reach is Reach.UNREACHABLE:
        return Status.FALSE, "Refuses", "the cluster answers, but not to us"
    since = facts.unreachable_since_ms
    if facts.bad_answer:
        return (
            Status.UNKNOWN,
            "BadAnswer",
            f"{facts.bad_answer}; claims stay bound and their GPUs held",
        )
    text = f"no answer since {format_instant(since)}" if since is not None else "no answer yet"
    return Status.UNKNOWN, "NoAnswer", f"{text}; claims stay bound and their GPUs held"


def _identity(facts: LeaseFacts) -> Found:
    if facts.identity_error is not None:
        return Status.FALSE, "OtherCluster", f"{facts.identity_error}; nothing is written there"
    if facts.cluster_uid is not None:
        return Status.TRUE, "Pinned", f"cluster {facts.cluster_uid}"
    return Status.UNKNOWN, "NotTried", "the cluster hasn't answered yet"


def _isolation(facts: LeaseFacts) -> Found:
    if facts.permission_error is not None:
        return Status.FALSE, "RightMissing", f"{facts.permission_error}; run `sublet onboard` again"
    if facts.isolation_ready is None:
        text = facts.isolation_message or "isolation hasn't been proven yet"
        return Status.UNKNOWN, "NotTried", text
    if facts.isolation_ready and facts.isolation_message:
        return Status.TRUE, OLDER_ONBOARDING, facts.isolation_message
    if facts.isolation_ready:
        return Status.TRUE, "Proven", "the policies refuse what they must and accept what they may"
    return Status.FALSE, "NotProven", facts.isolation_message


def _rights(facts: LeaseFacts) -> Found:
    if facts.missing_rights:
        shown = ", ".join(facts.missing_rights[:MOST_SHOWN])
        more = len(facts.missing_rights) - MOST_SHOWN
        text = f"{shown}{f' and {more} more' if more > 0 else ''}"
        return Status.FALSE, "PermissionMissing", (
            f"the credential may not: {text}; run `sublet onboard` again. Nothing new is sold; what needs other "
            "rights goes on"
        )  # fmt: skip
    if facts.excess:
        return Status.FALSE, "BeyondOnboarding", f"{facts.excess}. Nothing new is sold until then"
    if facts.isolation_ready is None or facts.excess is None:
        return Status.UNKNOWN, "NotTried", "the cluster wasn't asked yet"
    return Status.TRUE, "Granted", "the credential has every right that is needed"


def _clock(facts: LeaseFacts) -> Found:
    ahead = facts.clock_ahead_seconds
    if ahead is None:
        return Status.UNKNOWN, "NotSaid", "the cluster hasn't said what time it is"
    if not ahead:
        return (
            Status.TRUE,
            "Synced",
            f"its clock and ours differ by {SYNCED_SECONDS} seconds at most",
        )
    text = f"its clock is {how_many(abs(ahead), 'second')} {'ahead of' if ahead > 0 else 'behind'} ours"
    return (
        Status.FALSE,
        "Skewed",
        f"{text}: tokens end by its clock; set the one that is wrong right",
    )


def _capacity(facts: LeaseFacts, counts: InventoryStatus) -> Found:
    if facts.nodes_error:
        return Status.UNKNOWN, "NotRead", f"the nodes can't be read: {facts.nodes_error}"
    if not facts.synced:
        return Status.UNKNOWN, "NotRead", "the nodes haven't been read yet"
    text = f"{counts.healthy} of {how_many(counts.committed, 'committed GPU')} are delivered and usable"
    return (
        (Status.TRUE, "Met", text)
        if counts.healthy >= counts.committed
        else (Status.FALSE, "Short", text)
    )


def _orphaned(facts: LeaseFacts) -> Found:
    """Say whether the cluster holds something of claims that the hub doesn't know; Unknown until it was looked at."""
    found = facts.orphans
    if found.reason == NOT_LOOKED or not found.message:
        return Status.UNKNOWN, NOT_LOOKED, found.message or "it hasn't been looked at yet"
    if not found.reason:
        return Status.FALSE, "NothingFound", found.message
    return Status.TRUE, found.reason, found.message


def expiring_from_ms(lease: GpuLease) -> Millis | None:
    """Return from when a lease is Expiring, None if it has no end."""
    end = lease.spec.term.end_time
    return Millis(end - EXPIRING_SECONDS * MS_PER_SECOND) if end is not None else None


def _expiring(lease: GpuLease, now_ms: Millis) -> Found:
    end, begin = lease.spec.term.end_time, expiring_from_ms(lease)
    if end is None or begin is None:
        return Status.FALSE, "OpenEnded", "the lease has no end"
    if now_ms < begin:
        return Status.FALSE, "NotYet", f"the lease ends {format_instant(end)}"
    return Status.TRUE, "EndsSoon", f"the lease ends {format_instant(end)}"


def _options(lease: GpuLease, late: list[Option], now_ms: Millis) -> Found:
    still = open_options(lease, now_ms)
    if late:
        starts = ", ".join(format_instant(o.start_time) for o in late)
        status = Status.TRUE if still else Status.FALSE
        return status, "ExercisedLate", (
            f"exercised after exerciseByTime: the option from {starts}; ask the landlord whether it counts"
        )  # fmt: skip
    if not still:
        return Status.FALSE, "NoneOpen", "every option was exercised or has lapsed"
    first = still[0]
    return Status.TRUE, "Open", (
        f"{how_many(first.gpus, 'more GPU')} from {format_instant(first.start_time)} on can be had until "
        f"{format_instant(first.exercise_by_time)}"
    )  # fmt: skip


def _overcommitted(counts: InventoryStatus, held: Held) -> Found:
    total = held.reserved + held.bound
    text = f"claims hold {total} of {how_many(counts.committed, 'committed GPU')}"
    return (
        (Status.TRUE, "MoreHeld", text)
        if total > counts.committed
        else (Status.FALSE, "WithinCommitment", text)
    )


def _ready(lease: GpuLease, found: dict[str, Found], held: Held, now_ms: Millis) -> Found:
    """Ready means that the lease can sell what it has, and that it is as its spec says."""
    return _unread(lease) or _selling(lease, found, held, now_ms)


def _unread(lease: GpuLease) -> Found | None:
    """Return what to say of a lease whose spec, or a part of it, can't be read."""
    if lease.metadata.fault:
        return Status.FALSE, SPEC_UNREAD, goes_on(lease.metadata.fault)
    misspelt = lease.spec.tenant_access.misspelt_networks
    if not misspelt:
        return None
    return Status.FALSE, "NetworkUnread", (
        f"{misspelt[0]!r} in tenantAccess.deniedCIDRs is no network: pods of claims reach nothing outside until it is "
        "written as 203.0.113.0/24 or 2001:db8::/32"
    )  # fmt: skip


def _selling(lease: GpuLease, found: dict[str, Found], held: Held, now_ms: Millis) -> Found:
    for type_ in _NEEDED:
        status, reason, message = found[type_]
        if status is not Status.TRUE:
            return status, reason, message
    if found["CapacityMet"][0] is Status.UNKNOWN:
        return found["CapacityMet"]
    term, last = lease.spec.term, lease.spec.term.last_usable_ms()
    if now_ms < term.start_time:
        return Status.FALSE, "NotStarted", f"the lease starts {format_instant(term.start_time)}"
    if last is not None and now_ms >= last:
        return Status.FALSE, "Ended", "the lease's sellable term is over"
    return Status.TRUE, *_taking(lease, held)


def _taking(lease: GpuLease, held: Held) -> tuple[str, str]:
    """Return whether a lease that can be sold takes new claims."""
    if not lease.spec.accepting_claims:
        return "NotAccepting", "no new claims are taken; those in it stay"
    if held.unread:
        return "NotAccepting", (
            f"claim {held.unread[0]} can't be read: no new claims are taken until it can; those in it stay"
        )  # fmt: skip
    return "Selling", "the lease can be sold"


def _beyond(held: Held, inventory: LeaseInventory) -> Term:
    """Return what the nodes' own books give away beyond what the hub knows of: held, and nobody knows until when."""
    by_nodes = sum(node.held for node in inventory.nodes.values())
    return Term(FOREVER, max(0, by_nodes - held.reserved - held.bound))
