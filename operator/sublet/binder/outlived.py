"""Bound claims of which the ledger knows more than the hub: the hub was put back to an older state.

By the ledger their reservation has ended, or another of theirs came after it. Other nodes would be billed anew for a claim
that nobody has any more, or twice, and what it had may be another's by now; so it gets nothing. Asked before other nodes are
made ready, at the cutover, and before new tokens are minted; a bind is refused by the ledger itself (`intend_bound`).
"""

from collections.abc import Iterable

from sublet.api.claim_status import allocation_of
from sublet.api.common import is_true
from sublet.api.event_reasons import EventReason
from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import ClaimUID
from sublet.binder.ports import Tools
from sublet.ledger.port import LedgerConflict
from sublet.ledger.running import over


async def outlived(claims: Iterable[GpuClaim], tools: Tools) -> frozenset[ClaimUID]:
    """Return which of some bound claims are over by the ledger; raises LedgerUnavailable and the hub's errors.

    The hub is read after the ledger: one that wasn't put back shows all of which the ledger has lines.
    """
    asked = {ClaimUID(c.metadata.uid): c for c in claims}
    if not asked:
        return frozenset()
    numbers = {uid: allocation_of(claim).sequence for uid, claim in asked.items()}
    found = over(await tools.ledger.facts_of(sorted(asked)), numbers)
    return frozenset([uid for uid in found if await _stands(asked[uid], tools)])


async def refuse_outlived(claim: GpuClaim, tools: Tools) -> None:
    """Raise LedgerConflict if a bound claim is over by the ledger, and say so; LedgerUnavailable if nobody can tell."""
    if not await outlived([claim], tools):
        return
    tools.events.note(claim, EventReason.HUB_BEHIND, words(claim))
    raise LedgerConflict(words(claim))


def words(claim: GpuClaim) -> str:
    """Return what a claim is told that is over by the ledger."""
    uid, sequence = claim.metadata.uid, allocation_of(claim).sequence
    return (
        f"reservation {sequence} of this claim ({uid}) ended by the ledger: the hub is older, as after a restored backup, so that "
        "nothing more is handed over for it; restore a newer backup and adopt the claim, or delete the claim and make it anew"
    )


async def _stands(claim: GpuClaim, tools: Tools) -> bool:
    """Say whether the hub, live, shows a claim bound by the very reservation by which it was seen."""
    live = await tools.claims.get(claim)
    held = live.status.allocation if live is not None else None
    return (
        live is not None
        and held is not None
        and held.sequence == allocation_of(claim).sequence
        and is_true(live.status.conditions, "Bound")
    )
