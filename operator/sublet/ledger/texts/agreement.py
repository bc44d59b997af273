"""Whether two texts of one happening say the same, whichever versions of this program wrote them. Pure.

A version leaves out what it doesn't know, and what an older one or its CRDs dropped from a status nobody knows any more. So what
one text alone says contradicts nothing, unless every version that ever wrote such a text knows the field: then nothing was agreed.
"""

import json
from typing import Any, Final

from sublet.ledger.texts.evidence import Evidence
from sublet.ledger.texts.reservation import ReservationTerms

_SINCE_EVER: Final = {
    ReservationTerms.KIND: frozenset({"rounding", "sla", "minimumAmount"}),
    Evidence.KIND: frozenset[str](),
}
"""Kind of a text that is made anew from a claim's status -> fields that may be absent, and that every version knows"""


def agree(before: str, now: str) -> bool:
    """Say whether two texts of a claim say the same in all that both could say; texts of any other kind never do."""
    try:
        said, says = json.loads(before), json.loads(now)
    except ValueError:
        return False
    known = _SINCE_EVER.get(str(said.get("kind"))) if isinstance(said, dict) else None
    return known is not None and _agree(said, says, known)


def _agree(before: Any, now: Any, known: frozenset[str]) -> bool:
    if isinstance(before, dict) and isinstance(now, dict):
        if known & (before.keys() ^ now.keys()):
            return False
        return all(_agree(before[key], now[key], known) for key in before.keys() & now.keys())
    if isinstance(before, list) and isinstance(now, list):
        return len(before) == len(now) and all(
            _agree(*pair, known) for pair in zip(before, now, strict=True)
        )
    return bool(before == now)
