"""An amount that a person charges (above 0) or credits (below 0), with a reason. Written by `sublet ledger adjust`."""

from typing import Annotated, ClassVar

from pydantic import Field

from sublet.api.common import Currency
from sublet.ledger.texts.base import Text


class Adjustment(Text):
    """One amount on a tenant's bill."""

    KIND: ClassVar[str] = "adjustment"
    kind: str = "adjustment"
    period: Annotated[str, Field(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$")]
    """The billing period that it is about, as year and month; if that is closed it is billed in the next open one."""
    amount: Annotated[str, Field(pattern=r"^-?(0|[1-9][0-9]{0,8})(\.[0-9]{1,6})?$")]
    """Decimal string."""
    currency: Currency
    reason: Annotated[str, Field(min_length=1, max_length=1_024)]
    by: Annotated[str, Field(min_length=1, max_length=256)]
    namespace: str = ""
    """On whose statement it stands; split over the tenant's namespaces without."""
    claim: str | None = None
    """Namespace and name of the claim that it is about, if it is about one."""
    key: str | None = None
    """Of a tenant's adjustments with the same key there is one; None: written before there were keys."""
