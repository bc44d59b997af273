"""What a claim agrees to beside its price when it is reserved, and keeps over moves, replacements and slipping promises.

Copied from the class, so that editing the class changes no claim that it was sold to. A price floats only where no
duration was asked for: whoever buys a window knows what it costs.
"""

from dataclasses import dataclass
from typing import Final, TypeVar

from sublet.api.billing import ClassSla, Rounding
from sublet.api.gpuclaim import Allocation, GpuClaim
from sublet.api.gpuclass import GpuClass, HostShare, Pricing
from sublet.api.schema import StatusModel

T = TypeVar("T", bound=StatusModel)


@dataclass(frozen=True, slots=True)
class Agreed:
    """The terms of one reservation, as the allocation says them."""

    class_name: str = ""
    class_uid: str = ""
    pricing: Pricing = Pricing.FIXED
    rounding: Rounding | None = None
    sla: ClassSla | None = None
    host_share: HostShare | None = None
    host_share_noted: bool = False


NOTHING: Final = Agreed()
"""A fixed price, and nothing beside it."""


def agreed_on(claim: GpuClaim, offer: GpuClass) -> Agreed:
    """Return what a claim that is reserved now agrees to."""
    lasts = claim.spec.schedule.duration_seconds is not None
    return Agreed(
        class_name=claim.spec.class_name,
        class_uid=offer.metadata.uid,
        pricing=Pricing.FIXED if lasts else offer.spec.pricing,
        rounding=_known(offer.spec.rounding),
        sla=_known(offer.spec.sla),
        host_share=_known(offer.spec.host_share),
        host_share_noted=True,
    )


def _known(terms: T | None) -> T | None:
    return terms.known() if terms is not None else None


def agreed_before(held: Allocation) -> Agreed:
    """Return what an allocation agreed to."""
    return Agreed(
        class_name=held.class_name,
        class_uid=held.class_uid,
        pricing=held.pricing,
        rounding=held.rounding,
        sla=held.sla,
        host_share=held.host_share,
        host_share_noted=held.host_share_noted,
    )
