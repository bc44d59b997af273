"""The metrics: counters read from the ledger (so they survive a restart), gauges read from memory.

Built as one custom collector over a snapshot, so no stale label set is ever left behind. Base units; every name stands in
docs/metrics.md.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from sublet import __version__
from sublet.api.times import Millis
from sublet.serve.budgets import budget_families
from sublet.serve.clusters import cluster_families
from sublet.serve.families import gauge
from sublet.serve.leases import lease_counters, lease_gauges
from sublet.serve.ledger import ledger_families
from sublet.serve.look import Look
from sublet.serve.names import names_of
from sublet.serve.opencost import opencost_families
from sublet.serve.ports import Observed
from sublet.serve.tenants import tenant_families


@dataclass(eq=False, slots=True)
class Snapshot(Collector):
    """Everything one scrape shows, but for the series of single claims (`sublet.serve.claims`)."""

    observed: Observed
    now_ms: Millis
    look: Look | None
    """None while the ledger can't be read: its series are absent then, never wrong."""
    coverage: Sequence[Metric] = ()
    """Worked out every few seconds (`sublet.serve.coverage`): it takes longer than a scrape may."""
    opencost: bool = False

    def collect(self) -> Iterator[Metric]:
        """Yield all families."""
        yield gauge(
            "sublet_build_info", "The operator's version.", ["version"], [((__version__,), 1)]
        )
        leads = float(self.observed.leads)
        yield gauge("sublet_leader", "1 on the replica that writes.", [], [((), leads)])
        if not self.observed.ready:
            return  # what is read in part says less than there is
        yield from lease_gauges(self.observed)
        yield from cluster_families(self.observed, self.now_ms)
        yield from self.coverage
        yield from budget_families(self.observed, self.now_ms)
        yield _pending(self.observed)
        if self.opencost:
            yield from opencost_families(self.observed, self.now_ms)
        if self.look is not None:
            names = names_of(self.observed, self.look)
            yield from tenant_families(self.look, names)
            yield from lease_counters(self.look, names)
            yield from ledger_families(self.look)


def _pending(observed: Observed) -> Metric:
    # whoever may make claims may write any name there: only those of classes become series
    classes = {each.metadata.name for each in observed.classes()}
    waiting: Counter[tuple[str, ...]] = Counter()
    for claim in observed.claims():
        if claim.status.pending is not None:
            named = claim.spec.class_name if claim.spec.class_name in classes else ""
            waiting[named, claim.status.pending.reason.value] += 1
    rows = [(k, float(v)) for k, v in waiting.items()]
    text = "Claims that wait, by reason; without a class those whose class isn't there."
    return gauge("sublet_pending_claims", text, ["class", "reason"], rows)
