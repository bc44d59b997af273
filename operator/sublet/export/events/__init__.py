"""The outbox: one CloudEvent per line of the ledger, and notices, to an HTTP sink of the platform team's.

At least once and in order: what was sent is recorded after the sink has taken it, so a crash in between sends it again under the same
`source` and `id`, by which the sink knows it.
"""

from collections.abc import Callable

from sublet.clock import Clock
from sublet.export.events.outbox import Outbox
from sublet.export.events.sink import HttpSink
from sublet.settings import Settings
from sublet.store.outbox import SqlOutbox
from sublet.store.sql import SqlLedger


def outbox_of(
    settings: Settings,
    ledger: SqlLedger,
    clock: Clock,
    *,
    leads: Callable[[], bool],
    waiting: Callable[[int], None],
) -> Outbox:
    """Return the outbox that the settings ask for; without a sink it sends nothing."""
    url = settings.events_url
    sink = HttpSink(url, token_file=settings.events_token_file) if url else None
    batch = settings.events_batch
    return Outbox(SqlOutbox(ledger), sink, clock, leads=leads, waiting=waiting, batch=batch)
