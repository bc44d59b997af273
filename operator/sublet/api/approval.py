"""A person's approval of a claim: annotations that admission lets only approvers write.

`sublet.dev/approved` says `<claim UID>=<gpus>,<class>`, so that it is worth nothing on a namesake, for more GPUs or for
a class that the claim asks for later; `sublet.dev/approved-by` says who wrote it.
"""

from typing import Final

from sublet.api.gpuclaim import GpuClaim
from sublet.api.names import GROUP

APPROVED: Final = f"{GROUP}/approved"
APPROVED_BY: Final = f"{GROUP}/approved-by"
_DIGITS: Final = 7
"""Of the largest number of GPUs that a claim may ask for."""


def approval_text(claim: GpuClaim) -> str:
    """Return the annotation's value that approves a claim as it stands."""
    return f"{claim.metadata.uid}={claim.spec.gpus},{claim.spec.class_name}"


def approved_gpus(claim: GpuClaim) -> int:
    """Return up to how many GPUs of its class a claim is approved for, 0 if it isn't."""
    uid, _, what = claim.metadata.annotations.get(APPROVED, "").partition("=")
    gpus, _, class_name = what.partition(",")
    is_number = gpus.isascii() and gpus.isdecimal() and len(gpus) <= _DIGITS
    is_its_own = uid == claim.metadata.uid and class_name == claim.spec.class_name
    return int(gpus) if is_its_own and is_number else 0


def approver(claim: GpuClaim) -> str:
    """Return who approved a claim, empty if nobody did."""
    return claim.metadata.annotations.get(APPROVED_BY, "") if approved_gpus(claim) else ""
