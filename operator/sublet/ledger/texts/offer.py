"""What a class says of money: its dated prices, which claims with floating prices follow.

Written by the meter when a class's spec changes, read by rating: the newest line holds, since prices are append-only.
"""

from typing import ClassVar

from sublet.api.gpuclass import GpuClass, SellPrice
from sublet.ledger.texts.base import Text


class ClassTerms(Text):
    """One retail offer as the bill needs it."""

    KIND: ClassVar[str] = "class"
    kind: str = "class"
    name: str
    products: tuple[str, ...]
    currency: str
    prices: tuple[SellPrice, ...]

    @classmethod
    def of(cls, class_: GpuClass) -> "ClassTerms":
        """Return the terms of a class as they are now, prices in the order of time."""
        spec = class_.spec
        return cls(
            name=class_.metadata.name,
            products=tuple(sorted(spec.products)),
            currency=spec.currency,
            prices=tuple(sorted(spec.prices, key=lambda p: p.effective_time)),
        )
