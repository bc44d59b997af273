"""The ledger about itself: lines, the latest instant, conflicts, whether it takes any."""

from collections.abc import Iterator

from prometheus_client.core import Metric

from sublet.api.times import MS_PER_SECOND
from sublet.serve.families import counter, gauge
from sublet.serve.look import Look


def ledger_families(look: Look) -> Iterator[Metric]:
    """Yield the ledger's own series."""
    lines = [((kind.value,), float(count)) for kind, count in sorted(look.entries.items())]
    yield counter("sublet_ledger_entries", "Lines in the ledger.", ["kind"], lines)
    text = "1 while records of one happening disagree: new binds have stopped."
    yield gauge("sublet_ledger_conflict", text, [], [((), float(look.conflict))])
    text = "1 while the ledger can be read and takes nothing: new binds wait, and lines are written later."
    yield gauge("sublet_ledger_takes_nothing", text, [], [((), float(look.takes_nothing))])
    last = [((), look.last_at_ms / MS_PER_SECOND)] if look.last_at_ms is not None else []
    text = "Instant of the latest line."
    yield gauge("sublet_ledger_last_entry_timestamp_seconds", text, [], last)
