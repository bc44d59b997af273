"""Claims that are too large for their class without a person's approval: what they are told.

An approval counts for one claim, of one class, up to a number of GPUs. It is asked for when the claim is reserved and not again, so
taking it back touches nothing that was promised or handed over.
"""

from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpuclass import GpuClass
from sublet.api.ids import ClaimUID
from sublet.api.pending import PendingReason
from sublet.api.wording import how_many
from sublet.book.decisions import Refuse


def approval_refusal(claim: GpuClaim, offer: GpuClass) -> Refuse:
    """Return the refusal of a claim that nobody has approved yet."""
    message = (
        f"asks for {how_many(claim.spec.gpus, 'GPU')}; class {offer.metadata.name} gives more than "
        f"{offer.spec.approval_above_gpus} only when somebody has approved the claim: ask the platform team"
    )
    return Refuse(ClaimUID(claim.metadata.uid), PendingReason.WAITING_FOR_APPROVAL, message)


def size_without_approval(claim: GpuClaim, offer: GpuClass) -> int:
    """Return the largest number of GPUs below what is asked for that needs no approval, 0 if there is none."""
    limit = offer.spec.approval_above_gpus or 0
    per_node = claim.spec.gpus_per_node or 1
    return min(limit, claim.spec.gpus - 1) // per_node * per_node
