"""Claims that, by the ledger, have ended, though the hub shows them bound: it was put back to an older state.

Nothing of them is put back: their nodes may be another's by now, and nobody would be billed for what they run.
"""

from collections.abc import Iterable
from typing import Final

from sublet.api.claim_status import allocation_of
from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import ClaimUID
from sublet.binder.ports import Tools
from sublet.ledger.port import LedgerUnavailable
from sublet.ledger.running import ended

OUTLIVED: Final = "a claim that has it by the hub ended by the ledger: the hub is older, as after a restored backup"


class Outlived:
    """What one look asks of the ledger; one that is away is asked once, and holds up no repair."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._is_away = False

    async def among(self, claims: Iterable[GpuClaim]) -> frozenset[ClaimUID]:
        """Return which of some claims, bound by the hub, have ended by the ledger."""
        asked = {ClaimUID(c.metadata.uid): allocation_of(c).sequence for c in claims}
        if not asked or self._is_away:
            return frozenset()
        try:
            return ended(await self._tools.ledger.facts_of(sorted(asked)), asked)
        except LedgerUnavailable:
            self._is_away = True
            return frozenset()
