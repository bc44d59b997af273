"""Claims that, by the ledger, have ended or come to other nodes, though the hub shows them bound: it was put back to an older state.

Nothing of them is put back: their nodes may be another's by now, and nobody would be billed for what they run.
"""

from collections.abc import Iterable
from typing import Final

from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import ClaimUID
from sublet.binder.outlived import outlived
from sublet.binder.ports import Tools
from sublet.ledger.port import LedgerUnavailable

OUTLIVED: Final = "a claim that has it by the hub ended by the ledger: the hub is older, as after a restored backup"


class Outlived:
    """What one look asks of the ledger; one that is away is asked once, and holds up no repair."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._is_away = False

    async def among(self, claims: Iterable[GpuClaim]) -> frozenset[ClaimUID]:
        """Return which of some claims, bound by the hub, are over by the ledger."""
        if self._is_away:
            return frozenset()
        try:
            return await outlived(claims, self._tools)
        except LedgerUnavailable:
            self._is_away = True
            return frozenset()
