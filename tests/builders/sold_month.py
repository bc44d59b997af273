"""A month of two leases and two tenants, in a database: what the command line reads.

September 2026. west has 16 GPUs at 2 USD, 8 of them sold to acme and 4 to globex at 3.99 USD; from the 10th, 10 o'clock, on acme's 8 were
down for two hours. east has 8 GPUs at 1.50 EUR, which acme had for the first ten days.
"""

import asyncio
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from sublet.api.billing import ClassSla
from sublet.api.ids import LeaseUID
from sublet.ledger.entry import EntryKind
from sublet.ledger.terms import content_hash
from sublet.ledger.texts.reservation import ReservationTerms
from sublet.ledger.texts.tenant import TenantTerms
from sublet.store.sql import SqlLedger
from tests.builders.wholesale import Scribe, at

BEGUN = "2026-08-20T00:00:00Z"
"""When the ledger first heard of tenants."""
START, END = "2026-09-01T00:00:00Z", "2026-10-01T00:00:00Z"
SLA = {"creditPercent": 100, "maxPercent": 100, "claimWithinDays": 30}
RATE = {"currency": "USD", "effectiveTime": "2026-01-01T00:00:00Z", "rate": "0.5"}


class Month(Scribe):
    """Writes a ledger with tenants."""

    def tenant(self, name: str, *, uid: str = "", **billing: Any) -> None:
        """Write the terms of a tenant, whose UID is its name unless another is given."""
        terms = TenantTerms.model_validate(
            {"name": name, "namespaces": [name], "billingAccountId": f"A-{name}", "billing": billing}
        )  # fmt: skip
        self._text(terms, uid or name, LeaseUID(""), uid or name)
        self.facts[-1] = replace(self.facts[-1], at_ms=at(BEGUN))

    def agreed(self, claim: str, tenant: str) -> None:
        """Write what a claim agreed to, with credits for lost GPU time."""
        terms = ReservationTerms(namespace=tenant, name=claim, class_name="h100", sla=ClassSla())
        self._text(terms, claim, LeaseUID(""), tenant)

    def write(self, url: str) -> None:
        """Write everything into a database."""
        asyncio.run(_append(url, self))


def sold_month(*, with_rates: bool = False) -> Month:
    """Return the month."""
    month = Month()
    month.texts[content_hash("{}")] = "{}"
    west = month.lease("west", committed=16, sla=SLA, prices=_price("2"))
    east = month.lease("east", committed=8, currency="EUR", prices=_price("1.5"))
    for name in ("acme", "globex"):
        month.tenant(name)
    for claim, tenant in (("train", "acme"), ("infer", "globex"), ("move", "acme")):
        month.agreed(claim, tenant)
    month.capacity(west, "2026-01-01T00:00:00Z", 16)
    month.capacity(east, "2026-01-01T00:00:00Z", 8)
    month.held("train", west, 8, START, END)
    month.held("infer", west, 4, START, END, tenant="globex")
    month.held("move", east, 8, START, "2026-09-11T00:00:00Z")
    month.held(
        "train", west, 8, "2026-09-10T10:00:00Z", "2026-09-10T12:00:00Z", kind=EntryKind.DOWNTIME
    )
    if with_rates:
        month.rates("EUR", RATE)
    return month


def database(folder: Path, month: Month | None = None) -> str:
    """Return the URL of a database that holds the month."""
    url = f"sqlite:///{folder}/ledger.sqlite"
    (month or sold_month()).write(url)
    return url


def _price(amount: str) -> list[dict[str, str]]:
    return [{"effectiveTime": "2026-01-01T00:00:00Z", "perGpuHour": str(Decimal(amount))}]


async def _append(url: str, month: Month) -> None:
    ledger = SqlLedger(url)
    await ledger.append([e.fact for e in month.entries()], month.texts)
    await ledger.close()
