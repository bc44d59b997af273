"""Coverage of each lease as gauges: what the platform team watches, worked out every few seconds from what is in memory.

Tenants never see it: `/metrics` is behind a gate. Money is exact until it becomes a sample, which is a float.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal

from prometheus_client.core import Metric

from sublet.api.times import Millis
from sublet.book.coverage import LeaseCoverage, coverage
from sublet.book.options import open_options
from sublet.book.view import View
from sublet.serve.families import Row, gauge
from sublet.serve.ports import Observed


def coverage_families(observed: Observed, now_ms: Millis) -> Iterator[Metric]:
    """Yield GPUs and money of each lease now.

    What claims hold and pay of a lease that isn't in memory stands under its UID, without what only its contract could say: it
    may be there and not readable.
    """
    leases = observed.leases()
    names = {x.metadata.uid: x.metadata.name for x in leases}
    lines = coverage(View(now_ms, observed.claims(), leases, observed.classes()), now_ms)
    named = [(names.get(line.lease_uid, line.lease_uid), line) for line in lines]
    known = [(names[line.lease_uid], line) for line in lines if line.lease_uid in names]
    for name, text, shown in (
        ("committed", "GPUs that the contract commits now, 0 outside its term.", known),
        ("used", "GPUs held by claims: reserved, bound or being taken back.", named),
        ("unsold", "Committed GPUs that no claim holds.", known),
        ("uncovered", "GPUs held by claims beyond what is committed.", known),
    ):
        rows = [((lease,), float(getattr(line, name))) for lease, line in shown]
        yield gauge(f"sublet_lease_{name}_gpus", text, ["lease"], rows)
    text = "GPUs that options of the contract could still add."
    rows = [
        ((x.metadata.name,), float(sum(o.gpus for o in open_options(x, now_ms)))) for x in leases
    ]
    yield gauge("sublet_lease_option_gpus", text, ["lease"], rows)
    labels = ["lease", "currency"]
    text = "What tenants pay for an hour of what is bound now."
    yield gauge("sublet_lease_revenue_per_hour", text, labels, _revenue(named))
    text = "What the landlord is owed for an hour of now; absent for a lease that isn't known."
    yield gauge("sublet_lease_cost_per_hour", text, labels, _cost(named))


def _revenue(named: Iterable[tuple[str, LeaseCoverage]]) -> Iterator[Row]:
    for lease, line in named:
        # a lease that earns nothing earns 0 of what it costs: a sum over revenue minus cost needs both sides
        nothing = dict.fromkeys(line.trade.cost or {}, Decimal(0))
        for currency, amount in {**nothing, **line.trade.revenue}.items():
            yield (lease, currency), float(amount)


def _cost(named: Iterable[tuple[str, LeaseCoverage]]) -> Iterator[Row]:
    for lease, line in named:
        for currency, amount in (line.trade.cost or {}).items():
            yield (lease, currency), float(amount)
