"""Rows that follow each other and differ in time and amount alone. Pure."""

from fractions import Fraction
from operator import attrgetter
from typing import Any, Final, NamedTuple

from sublet.api.ids import ClaimUID, LeaseUID
from sublet.rating.model import Category


class Run(NamedTuple):
    """What stands the same on rows that follow each other."""

    category: Category
    claim_uid: ClaimUID
    claim_name: str
    namespace: str
    class_name: str
    lease_uid: LeaseUID
    lease_alias: str
    product: str
    tags_hash: str
    list_price: Any
    price: Fraction | None
    currency: str
    corrects: str

    @property
    def is_priced(self) -> bool:
        """Say whether it is a quantity at a price, rather than money alone."""
        return self.price is not None and self.list_price is not None


run_of: Final = attrgetter(*Run._fields)
"""Return the fields of a charge's run as a plain tuple."""

kin_of: Final = attrgetter(
    "claim_uid",
    "sequence",
    "lease_uid",
    "category",
    "tags_hash",
    "list_price",
    "price",
    "corrects",
)
"""Return what tells one run from another: a claim's reservation has one name, class and currency, and on a lease one product."""
