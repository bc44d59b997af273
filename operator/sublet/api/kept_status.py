"""The next status of a claim that was deleted and whose object stays because of others' finalizers. Pure, as `claim_status`.

Such as `foregroundDeletion`, which the server itself takes off, or one of a controller that is gone. Ours is off by then:
the release is done and the meter stopped with it, whenever the object goes.
"""

from typing import Final

from sublet.api.claim_status import next_status
from sublet.api.common import Status
from sublet.api.gpuclaim import ClaimStatus, GpuClaim
from sublet.api.kinds import RELEASE_FINALIZER
from sublet.api.relocation import ReleaseCause
from sublet.api.times import Millis

_SHOWN: Final = 3
"""Finalizers that are named; somebody may put on any number."""


def others_finalizers(claim: GpuClaim) -> list[str]:
    """Return the finalizers that aren't ours, by name."""
    return sorted(f for f in claim.metadata.finalizers if f != RELEASE_FINALIZER)


def kept(claim: GpuClaim, now_ms: Millis) -> ClaimStatus:
    """It was deleted and holds nothing: nothing is left for us to do, and who holds it back is said."""
    others, cause = others_finalizers(claim), ReleaseCause.DELETED.value
    more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
    message = (
        "it was deleted, holds no GPUs and is billed for nothing any more; the object goes when its last finalizers are "
        f"taken off, which are others': {', '.join(others[:_SHOWN])}{more}"
    )
    # what was released says so already, and why
    states = dict.fromkeys(("Reserved", "Bound"), (Status.FALSE, cause))
    return next_status(
        claim,
        now_ms,
        ready=(Status.TRUE, cause, message),
        progress=None,
        states=states if claim.status.release is None else {},
        update={"pending": None, "offers": ()},
    )
