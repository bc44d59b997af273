"""The metrics: counters read from the ledger (so they survive a restart), gauges read from memory.

Built as one custom collector over a snapshot, so no stale label set is ever left behind. Base units; names as in
docs/metering.md.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from prometheus_client import CollectorRegistry, Gauge, Histogram
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from sublet import __version__
from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.rating import amount_of
from sublet.api.times import MS_PER_SECOND, Millis
from sublet.ledger.entry import BILLED, EntryKind
from sublet.ledger.terms import PriceTerms
from sublet.serve.books import Totals
from sublet.serve.budgets import budget_families
from sublet.serve.clusters import cluster_families
from sublet.serve.coverage import coverage_families
from sublet.serve.exports import ExportMetrics
from sublet.serve.families import counter, gauge
from sublet.serve.ports import Observed


class Timings:
    """Durations of steps and passes; implements `sublet.binder.ports.Steps`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._steps = Histogram(
            "sublet_bind_step_duration_seconds",
            "Duration of each step of a bind.",
            ["step"],
            registry=self.registry,
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
        )
        self._plans = Histogram(
            "sublet_plan_duration_seconds",
            "Duration of a planning pass.",
            registry=self.registry,
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
        )
        self._rates = Gauge(
            "sublet_rates_refused",
            "1 while the file of exchange rates can't be taken over; the table before it holds.",
            registry=self.registry,
        )
        self.exports = ExportMetrics(self.registry)
        self._unexported: Gauge | None = None
        """Only where there is a sink, and only on the replica that sends."""

    def rates_refused(self, is_refused: bool) -> None:
        """Record whether the file of exchange rates holds."""
        self._rates.set(is_refused)

    def unexported(self, count: int) -> None:
        """Record how many lines of the ledger weren't sent as events yet."""
        if self._unexported is None:
            self._unexported = Gauge(
                "sublet_ledger_unexported_entries",
                "Lines of the ledger that weren't sent to the sink of events yet.",
                registry=self.registry,
            )
        self._unexported.set(count)

    def took(self, step: str, seconds: float) -> None:
        """Record one step."""
        self._steps.labels(step).observe(seconds)

    def planned(self, seconds: float) -> None:
        """Record one pass."""
        self._plans.observe(seconds)


@dataclass(eq=False, slots=True)
class Snapshot(Collector):
    """Everything one scrape shows."""

    observed: Observed
    now_ms: Millis
    totals: Totals | None
    """None while the ledger can't be read: its series are absent then, never wrong."""
    prices: dict[str, PriceTerms] = field(default_factory=dict)
    per_claim: bool = True

    def collect(self) -> Iterator[Metric]:
        """Yield all families."""
        yield gauge(
            "sublet_build_info", "The operator's version.", ["version"], [((__version__,), 1)]
        )
        leads = float(self.observed.leads)
        yield gauge("sublet_leader", "1 on the replica that writes.", [], [((), leads)])
        yield from _lease_families(self.observed)
        yield from cluster_families(self.observed)
        yield from coverage_families(self.observed, self.now_ms)
        yield from budget_families(self.observed, self.now_ms)
        yield from _claim_families(self.observed.claims(), self.per_claim)
        if self.totals is not None:
            yield from self._ledger_families(self.totals)

    def _ledger_families(self, totals: Totals) -> Iterator[Metric]:
        claims = {c.metadata.uid: c for c in self.observed.claims()}
        leases = {x.metadata.uid: x for x in self.observed.leases()}
        tenants = {t.metadata.uid: t.metadata.name for t in self.observed.tenants()}
        by_claim: dict[tuple[str, ...], int] = defaultdict(int)
        by_tenant: dict[tuple[str, ...], int] = defaultdict(int)
        by_lease: dict[tuple[str, ...], int] = defaultdict(int)
        disputed: dict[tuple[str, ...], int] = defaultdict(int)
        down: dict[tuple[str, ...], int] = defaultdict(int)
        charges: dict[tuple[str, ...], Decimal] = defaultdict(Decimal)
        for (claim, tenant, lease, kind, price), amount in totals.gpu_milliseconds.items():
            lease_name = leases[lease].metadata.name if lease in leases else lease
            name = tenants.get(tenant, tenant)
            if kind in BILLED:
                terms = self.prices[price]
                charges[name, terms.currency] += amount_of(amount, terms.per_gpu_hour)
            if kind is EntryKind.DISPUTED:  # the same GPU-seconds are bound, too
                disputed[lease_name,] += amount
            elif kind is EntryKind.DOWNTIME:  # so are these
                down[lease_name,] += amount
            elif kind is not EntryKind.CANCELLED:  # which nobody held
                by_lease[lease_name, kind.value] += amount
            if kind is not EntryKind.BOUND:
                continue
            product = leases[lease].spec.product if lease in leases else ""
            by_tenant[name, lease_name, product] += amount
            if claim in claims:
                meta = claims[claim].metadata
                by_claim[meta.namespace, meta.name, claim] += amount
        if self.per_claim:
            yield counter(
                "sublet_claim_billable_gpu_seconds",
                "Billable GPU-seconds of a claim, from the ledger.",
                ["namespace", "claim", "uid"],
                _seconds(by_claim),
            )
        yield counter(
            "sublet_tenant_billable_gpu_seconds",
            "Billable GPU-seconds of a tenant, from the ledger.",
            ["tenant", "lease", "gpu_product"],
            _seconds(by_tenant),
        )
        yield counter(
            "sublet_tenant_charges",
            "Gross charges of a tenant, from the ledger.",
            ["tenant", "currency"],
            [(k, float(v)) for k, v in charges.items()],
        )
        yield counter(
            "sublet_lease_gpu_seconds",
            "GPU-seconds of a lease by what they were in, from the ledger.",
            ["lease", "state"],
            _seconds(by_lease),
        )
        yield counter(
            "sublet_lease_disputed_gpu_seconds",
            "Bound GPU-seconds of a lease while its cluster didn't answer, from the ledger.",
            ["lease"],
            _seconds(disputed),
        )
        yield counter(
            "sublet_lease_downtime_gpu_seconds",
            "Bound GPU-seconds of a lease that are known not to have worked, from the ledger.",
            ["lease"],
            _seconds(down),
        )
        lines = [((kind.value,), float(count)) for kind, count in totals.entries.items()]
        yield counter("sublet_ledger_entries", "Lines in the ledger.", ["kind"], lines)
        conflict = [((), float(totals.conflict))]
        text = "1 while records of one happening disagree: new binds have stopped."
        yield gauge("sublet_ledger_conflict", text, [], conflict)
        if totals.last_at_ms is not None:
            last = [((), totals.last_at_ms / MS_PER_SECOND)]
            yield gauge(
                "sublet_ledger_last_entry_timestamp_seconds",
                "Instant of the latest line.",
                [],
                last,
            )


def _lease_families(observed: Observed) -> Iterator[Metric]:
    leases = observed.leases()
    for name, text in (
        ("bound", "GPUs held by bound claims."),
        ("free", "GPUs that can be sold now."),
    ):
        rows = [
            ((x.metadata.name,), _count(x, name)) for x in leases if x.status.inventory is not None
        ]
        yield gauge(f"sublet_lease_{name}_gpus", text, ["lease"], rows)
    ends = [
        ((x.metadata.name,), x.spec.term.end_time / MS_PER_SECOND)
        for x in leases
        if x.spec.term.end_time is not None
    ]
    yield gauge("sublet_lease_end_timestamp_seconds", "When a lease ends.", ["lease"], ends)


def _claim_families(claims: Iterable[GpuClaim], per_claim: bool) -> Iterator[Metric]:
    pending: Counter[tuple[str, ...]] = Counter()
    info, status, gpus, ends = [], [], [], []
    for claim in claims:
        meta, allocation = claim.metadata, claim.status.allocation
        if claim.status.pending is not None:
            pending[claim.spec.class_name, claim.status.pending.reason.value] += 1
        if not per_claim:
            continue
        labels = (meta.namespace, meta.name, meta.uid)
        info.append(((*labels, claim.spec.class_name), 1.0))
        gpus.append((labels, float(claim.spec.gpus)))
        status += [((*labels, c.type, c.status.value), 1.0) for c in claim.status.conditions]
        if allocation is not None and allocation.until_time is not None:
            ends.append((labels, allocation.until_time / MS_PER_SECOND))
    rows = [(k, float(v)) for k, v in pending.items()]
    yield gauge("sublet_pending_claims", "Claims that wait, by reason.", ["class", "reason"], rows)
    if per_claim:
        names = ["namespace", "claim", "uid"]
        yield gauge("sublet_claim_info", "A claim and its class.", [*names, "class"], info)
        text = "1 for each condition of a claim and its status."
        yield gauge("sublet_claim_status_condition", text, [*names, "condition", "status"], status)
        yield gauge("sublet_claim_gpus", "GPUs that a claim asks for.", names, gpus)
        yield gauge("sublet_claim_end_timestamp_seconds", "When a claim ends.", names, ends)


def _count(lease: GpuLease, name: str) -> float:
    return float(getattr(lease.status.inventory, name))


def _seconds(amounts: dict[tuple[str, ...], int]) -> list[tuple[tuple[str, ...], float]]:
    return [(key, amount / MS_PER_SECOND) for key, amount in amounts.items()]
