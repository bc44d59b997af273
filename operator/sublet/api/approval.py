"""A person's approval of a claim: annotations that admission lets only approvers write.

`sublet.dev/approved` says `<claim UID>=<gpus>`, so that it is worth nothing on a namesake or for more GPUs;
`sublet.dev/approved-by` says who wrote it.
"""

from typing import Final

from sublet.api.common import GROUP, ObjectMeta

APPROVED: Final = f"{GROUP}/approved"
APPROVED_BY: Final = f"{GROUP}/approved-by"


def approval_text(uid: str, gpus: int) -> str:
    """Return the annotation's value that approves so many GPUs for a claim."""
    return f"{uid}={gpus}"


def approved_gpus(meta: ObjectMeta) -> int:
    """Return up to how many GPUs a claim is approved for, 0 if it isn't."""
    uid, _, gpus = meta.annotations.get(APPROVED, "").partition("=")
    return int(gpus) if uid == meta.uid and gpus.isascii() and gpus.isdecimal() else 0


def approver(meta: ObjectMeta) -> str:
    """Return who approved a claim, empty if nobody did."""
    return meta.annotations.get(APPROVED_BY, "") if approved_gpus(meta) else ""
