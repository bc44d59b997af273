"""What bound claims are told that nothing is decided from: troubles that somebody has to look into."""

from collections.abc import Callable, Collection, Iterable, Iterator

from sublet.api.gpuclaim import GpuClaim
from sublet.book.clocks import behind
from sublet.book.decisions import Decision
from sublet.book.downtime import downtimes
from sublet.book.floating import dearer_than_said
from sublet.book.silence import silences
from sublet.book.unproven import unproven
from sublet.book.view import View


def troubles(holders: Iterable[GpuClaim], decided: Collection[str], view: View) -> list[Decision]:
    """Return one trouble of each claim, the graver first; none for claims about which something else is decided."""
    held = tuple(holders)
    known = set(decided)
    told: list[Decision] = []
    looks: tuple[Callable[[], Iterator[Decision]], ...] = (
        lambda: silences(held, view.leases, known, view.now_ms),
        lambda: downtimes(held, view.leases, view.inventories, known, view.now_ms),
        lambda: unproven(held, known, view.inventories),
        lambda: behind(held, known, view.now_ms),
        lambda: dearer_than_said(held, view.classes, known, view.now_ms),
    )
    for look in looks:
        found = list(look())
        known.update(d.claim_uid for d in found)
        told += found
    return told
