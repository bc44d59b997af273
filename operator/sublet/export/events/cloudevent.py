"""Lines of the ledger and notices as CloudEvents 1.0, in their JSON format. Pure.

A line's event holds its hashes and no texts: prices stay in the ledger. It names leases all the same, and a price can be guessed from its hash:
the sink is the platform team's, never a tenant's.
"""

from typing import Any, Final

from sublet.api.times import format_instant
from sublet.ledger.entry import Entry
from sublet.ledger.line import write_line
from sublet.ledger.notice import News

Event = dict[str, Any]

_PREFIX: Final = "dev.sublet"


def entry_event(ledger_id: str, entry: Entry) -> Event:
    """Return the event of a line; its id is the line's own, wherever and however often it is sent."""
    fact = entry.fact
    return {
        "specversion": "1.0",
        "id": fact.id,
        "source": f"/ledger/{ledger_id}",
        "type": f"{_PREFIX}.ledger.{fact.kind}.{fact.type}",
        "subject": fact.claim_uid,
        "time": format_instant(fact.at_ms),
        "datacontenttype": "application/json",
        "data": write_line(entry),
    }


def notice_event(ledger_id: str, news: News) -> Event:
    """Return the event of a notice."""
    return {
        "specversion": "1.0",
        "id": news.id,
        "source": f"/ledger/{ledger_id}",
        "type": f"{_PREFIX}.notice.{news.kind}",
        "subject": news.subject,
        "time": format_instant(news.at_ms),
        "datacontenttype": "application/json",
        "data": dict(news.data),
    }
