"""Refusals that tell nothing of the fleet's size: the same reason, without counts and without offers made of them. Pure.

For pools whose tenants must not learn how much there is, or how much of it is free. What only tells of the tenant's own
limits, of a price or of a node's size stays.
"""

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Final

from sublet.api.gpuclaim import GpuClaim
from sublet.api.pending import Offer, OfferKind, PendingReason
from sublet.api.wording import how_many
from sublet.book.decisions import Refuse


class Detail(StrEnum):
    """How much a refusal tells of the fleet."""

    FULL = "full"
    COARSE = "coarse"


_WORDS: Final[Mapping[PendingReason, str]] = {
    PendingReason.NO_MATCHING_LEASE: "no lease that this tenant may use serves it",
    PendingReason.WAITING_FOR_CAPACITY: "they aren't free together for the whole time asked for",
    PendingReason.EXCEEDS_LEASE_TERM: (
        "no lease runs for the whole time asked for; ask for a shorter schedule.durationSeconds"
    ),
    PendingReason.RESIDENCY_UNMET: "there are none where spec.placement allows them",
    PendingReason.LEASE_UNREACHABLE: "a cluster that could serve it can't be reached now",
}
_NOWHERE: Final = "no leases are close together, or apart, as topology and placement ask"


def coarsened(claim: GpuClaim, refused: Refuse) -> Refuse:
    """Return a refusal without numbers of the fleet."""
    message = refused.message
    if refused.reason in _WORDS:
        message = f"asks for {how_many(claim.spec.gpus, 'GPU')}; {_WORDS[refused.reason]}"
    elif refused.counts_fleet:
        message = f"asks for {how_many(claim.spec.gpus, 'GPU')}; {_NOWHERE}"
    elif refused.reason is PendingReason.SUSPENDED:
        message = message.partition(";")[0]
    offers = tuple(o for o in refused.offers if not _counts(claim, refused, o))
    return replace(refused, message=message, offers=offers)


def _counts(claim: GpuClaim, refused: Refuse, offer: Offer) -> bool:
    """Say whether an offer's size tells what is free: a larger one is the next that fits nodes, a smaller one what is left."""
    fits_nodes = refused.reason is PendingReason.TOPOLOGY_UNFIT and not refused.counts_fleet
    next_larger = fits_nodes and offer.gpus > claim.spec.gpus
    return offer.change is OfferKind.OTHER_SIZE and not next_larger
