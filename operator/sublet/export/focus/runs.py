"""What rows have in common, whatever their claim, time and amount. Pure."""

from typing import Any, Final, NamedTuple

from sublet.api.ids import LeaseUID
from sublet.export.focus.amounts import Ratio
from sublet.rating.model import Category, Charge

ONE: Final[Ratio] = (1, 1)
"""The exchange rate of what is billed in the currency that it is priced in."""


class Run(NamedTuple):
    """What stands the same on rows that follow each other, and often on those of many claims."""

    category: Category
    namespace: str
    class_name: str
    lease_uid: LeaseUID
    lease_alias: str
    product: str
    tags_hash: str
    list_price: Any
    price: Ratio | None
    currency: str
    corrects: str
    adjustment_seq: int
    """The ledger's line that says why money was adjusted; 0 of anything else."""
    rate: Ratio
    """The exchange rate."""

    @property
    def is_priced(self) -> bool:
        """Say whether it is a quantity at a price, rather than money alone."""
        return self.price is not None and self.list_price is not None


def run_of(charge: Charge, rate: Ratio) -> Run:
    """Return the run that a charge is of at a rate of exchange."""
    price = charge.price
    return Run(
        charge.category,
        charge.namespace,
        charge.class_name,
        charge.lease_uid,
        charge.lease_alias,
        charge.product,
        charge.tags_hash,
        charge.list_price,
        None if price is None else price.as_integer_ratio(),
        charge.currency,
        charge.corrects,
        charge.first_seq if charge.category is Category.ADJUSTMENT else 0,
        rate,
    )
