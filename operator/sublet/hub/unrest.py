"""Claims at which there may be something to do besides planning, so that no pass looks at thousands that are at rest.

A claim is looked at when it changed, when work on it ended, when its tokens are due for renewal, when a lease that it is
on its way to is lost, and again in every pass until nothing is left to do. Driven by the loop.
"""

from collections.abc import Callable, Iterator

from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import ClaimUID
from sublet.api.times import Millis
from sublet.binder.access import furthest_renewal_ms, renewal_ms
from sublet.book.expiry import is_lost_move
from sublet.hub.state import Shelf


class Unrest:
    """The claims that aren't known to be at rest."""

    def __init__(self, claims: Shelf[GpuClaim], token_life_seconds: int) -> None:
        self._claims = claims
        self._changed = claims.follow()
        self._token_life_seconds = token_life_seconds
        self._open: set[str] = set()  # UIDs of claims at which something was left to do
        self._renewals: dict[str, Millis] = {}  # claim UID -> when its tokens are due for renewal
        self._lost: frozenset[str] = frozenset()  # UIDs of leases

    def look_at(self, uid: str) -> None:
        """Look at a claim in the next pass."""
        self._open.add(uid)

    def note_lost(self, lost: frozenset[str]) -> None:
        """Look at the claims that are on their way to a lease that is lost by now: they can't come there."""
        if lost == self._lost:
            return
        self._lost = lost
        moving = ((c.metadata.uid, c.status.move) for c in self._claims.all())
        self._open |= {uid for uid, move in moving if move is not None and is_lost_move(move, lost)}

    def claims(self, now_ms: Millis) -> list[GpuClaim]:
        """Return the claims to look at, in the order in which the hub's are known."""
        last = furthest_renewal_ms(self._token_life_seconds, now_ms)
        self._open |= {uid for uid, at in self._renewals.items() if not now_ms < at <= last}
        self._note_changes()
        return list(self._known())

    def let_go(self) -> list[ClaimUID]:
        """Return the claims that aren't there any more, and forget them; asked too while another replica leads."""
        self._note_changes()
        gone = {uid for uid in self._open if self._claims.get(uid) is None}
        self._open -= gone
        return [ClaimUID(uid) for uid in sorted(gone)]

    def settle(self, is_at_rest: Callable[[GpuClaim], bool]) -> None:
        """Let go of claims at which nothing is left to do."""
        self._open = {c.metadata.uid for c in self._known() if not is_at_rest(c)}

    def next_renewal_ms(self) -> Millis | None:
        """Return when the next tokens are due for renewal."""
        return min(self._renewals.values(), default=None)

    def _known(self) -> Iterator[GpuClaim]:
        found = ((uid, self._claims.get(uid)) for uid in sorted(self._open))
        return (claim for _, claim in found if claim is not None)

    def _note_changes(self) -> None:
        self._open |= self._changed
        for uid in self._changed:
            self._note_renewal(uid)
        self._changed.clear()

    def _note_renewal(self, uid: str) -> None:
        claim = self._claims.get(uid)
        due = renewal_ms(claim, self._token_life_seconds) if claim is not None else None
        if due is not None:
            self._renewals[uid] = due
        else:
            self._renewals.pop(uid, None)
