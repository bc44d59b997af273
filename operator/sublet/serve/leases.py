"""Series of leases: what became of their GPUs, what stands beside the bill, ends and deadlines."""

from collections.abc import Iterator
from typing import Final

from prometheus_client.core import Metric

from sublet.api.common import find_condition
from sublet.api.gpulease import GpuLease
from sublet.api.times import MS_PER_SECOND, Millis
from sublet.fleet.facts import OLDER_ONBOARDING
from sublet.ledger.entry import EntryKind
from sublet.serve.families import Labels, counter, gauge
from sublet.serve.look import Look
from sublet.serve.names import Names, earliest
from sublet.serve.ports import Observed

_BESIDE: Final = {
    EntryKind.RELEASING: (
        "sublet_lease_releasing_gpu_seconds",
        "GPU-seconds of a lease between their release and when they were free, billed to nobody, from the ledger.",
    ),
    EntryKind.DISPUTED: (
        "sublet_lease_disputed_gpu_seconds",
        "Bound GPU-seconds of a lease while its cluster didn't answer, from the ledger.",
    ),
    EntryKind.DOWNTIME: (
        "sublet_lease_downtime_gpu_seconds",
        "Bound GPU-seconds of a lease that are known not to have worked, from the ledger.",
    ),
}


def lease_gauges(observed: Observed) -> Iterator[Metric]:
    """Yield what is in memory."""
    leases = observed.leases()
    for name, text in (
        ("bound", "GPUs held by bound claims."),
        ("free", "GPUs that can be sold now."),
    ):
        rows = [
            ((x.metadata.name,), _count(x, name)) for x in leases if x.status.inventory is not None
        ]
        yield gauge(f"sublet_lease_{name}_gpus", text, ["lease"], rows)
    conditions = [
        ((x.metadata.name, c.type, c.status.value), 1.0)
        for x in leases
        for c in x.status.conditions
    ]
    text = "1 for each condition of a lease and its status."
    labels = ["lease", "condition", "status"]
    yield gauge("sublet_lease_status_condition", text, labels, conditions)
    outdated = [((x.metadata.name,), float(_is_onboarding_outdated(x))) for x in leases]
    text = "1 while policies in a leased cluster are those of an older sublet onboard; they act."
    yield gauge("sublet_lease_onboarding_outdated", text, ["lease"], outdated)
    ends = [
        ((x.metadata.name,), x.spec.term.end_time / MS_PER_SECOND)
        for x in leases
        if x.spec.term.end_time is not None
    ]
    yield gauge("sublet_lease_end_timestamp_seconds", "When a lease ends.", ["lease"], ends)


def lease_counters(look: Look, names: Names) -> Iterator[Metric]:
    """Yield what the ledger says."""
    states: dict[Labels, int] = {}
    since: dict[Labels, Millis] = {}
    for uid, quantities in look.states.items():
        for state, amount in quantities.items():
            key = (names.lease(uid), state.value)
            states[key] = states.get(key, 0) + amount
            earliest(since, key, look.states_since.get(uid))
    yield counter(
        "sublet_lease_gpu_seconds",
        "GPU-seconds of a lease by what became of them: the first three states add up to the commitment.",
        ["lease", "state"],
        [(k, v / MS_PER_SECOND) for k, v in states.items()],
        since,
    )
    for kind, (name, text) in _BESIDE.items():
        amounts: dict[Labels, int | None] = {}
        for (uid, what), quantity in look.beside.items():
            if what is kind:
                labels = (names.lease(uid),)
                before = amounts.get(labels, 0)
                is_known = before is not None and quantity is not None
                amounts[labels] = (before or 0) + (quantity or 0) if is_known else None
        rows = [(k, v / MS_PER_SECOND) for k, v in amounts.items() if v is not None]
        yield counter(name, text, ["lease"], rows)
    first: dict[Labels, Millis] = {}
    for uid, at_ms in look.deadlines.items():
        earliest(first, (names.lease(uid),), at_ms)
    yield gauge(
        "sublet_lease_sla_claim_deadline_timestamp_seconds",
        "Until when lost GPU time must be claimed from the landlord, the next deadline to come.",
        ["lease"],
        [(k, at_ms / MS_PER_SECOND) for k, at_ms in first.items()],
    )


def _is_onboarding_outdated(lease: GpuLease) -> bool:
    said = find_condition(lease.status.conditions, "IsolationReady")
    return said is not None and said.reason == OLDER_ONBOARDING


def _count(lease: GpuLease, name: str) -> float:
    return float(getattr(lease.status.inventory, name))
