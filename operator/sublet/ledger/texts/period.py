"""A closed billing period: what was billed, charge by charge. Written once by the leader, read by statements and exports for ever.

What the ledger says otherwise later never changes it; the difference stands as corrections in a later one.
"""

from typing import Annotated, ClassVar

from pydantic import Field

from sublet.api.common import Currency, Instant
from sublet.api.schema import ApiModel
from sublet.ledger.texts.base import Text

MONTH_PATTERN = r"^[0-9]{4}-(0[1-9]|1[0-2])$"
Month = Annotated[str, Field(pattern=MONTH_PATTERN)]
Exact = Annotated[str, Field(pattern=r"^-?[0-9]+(/[0-9]+)?$")]
"""A whole number, or a fraction such as 7/3."""


class BilledCharge(ApiModel):
    """One charge as it was billed; names as they were then."""

    namespace: str = ""
    claim_uid: str = ""
    claim_name: str = ""
    sequence: int = 0
    class_name: str = ""
    lease_uid: str = ""
    lease_alias: str = ""
    product: str = ""
    tags_hash: str = ""
    category: str
    from_ms: Instant
    to_ms: Instant
    gpu_milliseconds: int = 0
    list_price: str | None = None
    price: Exact | None = None
    currency: Currency
    list_amount: Exact
    amount: Exact
    first_seq: int
    last_seq: int
    corrects: str = ""


class PeriodText(Text):
    """One tenant's closed period."""

    KIND: ClassVar[str] = "period"
    kind: str = "period"
    tenant: str
    account: str
    month: Month
    from_time: Instant
    to_time: Instant
    """The cut's instants, whatever becomes of the tenant's time zone."""
    terms: str = ""
    """Hash of the tenant's terms that held."""
    rates: str = ""
    """Hash of the table of exchange rates that held; empty: there was none."""
    namespaces: tuple[str, ...] | None = None
    """In which its statements stand; None: written before it was kept."""
    seq: Annotated[int, Field(ge=0)]
    head: str
    """The last line of the ledger that was read, and its hash."""
    charges: tuple[BilledCharge, ...] = ()
