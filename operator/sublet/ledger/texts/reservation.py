"""What a claim agreed to at its reservation, beside price and tags. Written with its first line, read by rating.

Copied from the class into `status.allocation` by the book, so that editing a class changes no claim that it has sold to.
"""

from typing import ClassVar

from sublet.api.billing import ClassSla, Rounding
from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpuclass import Pricing
from sublet.ledger.texts.base import Text


class ReservationTerms(Text):
    """One reservation as the bill needs it."""

    KIND: ClassVar[str] = "reservation"
    kind: str = "reservation"
    namespace: str
    name: str
    class_name: str
    class_uid: str = ""
    """Of the class whose dated prices a floating claim follows."""
    pricing: Pricing = Pricing.FIXED
    rounding: Rounding | None = None
    sla: ClassSla | None = None
    requested_by: str = ""

    @classmethod
    def of(cls, claim: GpuClaim) -> "ReservationTerms | None":
        """Return what a claim's present reservation agreed to, None if it has none."""
        held = claim.status.allocation
        if held is None:
            return None
        return cls(
            namespace=claim.metadata.namespace,
            name=claim.metadata.name,
            class_name=held.class_name or claim.spec.class_name,
            class_uid=held.class_uid,
            pricing=held.pricing,
            rounding=held.rounding,
            sla=held.sla,
            requested_by=held.requested_by,
        )
