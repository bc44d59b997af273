"""What bound claims are told that nothing is decided from: troubles that somebody has to look into."""

from collections.abc import Collection, Iterable

from sublet.api.gpuclaim import GpuClaim
from sublet.book.clocks import behind
from sublet.book.decisions import Degrade
from sublet.book.unproven import unproven
from sublet.book.view import View


def troubles(holders: Iterable[GpuClaim], decided: Collection[str], view: View) -> list[Degrade]:
    """Return one trouble of each claim, the graver first; none for claims about which something else is decided."""
    held = tuple(holders)
    told = list(unproven(held, decided, view.inventories))
    return [*told, *behind(held, {*decided, *(d.claim_uid for d in told)}, view.now_ms)]
