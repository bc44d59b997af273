"""Whether a kubeconfig is written anew, or left for now: a token that only its Secret has would be lost with that.

The operator can't read Secrets. After a restart it doesn't know the token of a cluster that it can't reach now, while the
tenant may reach it, and the token be good for hours. As the tokens of the clusters that answer are renewed at half their
life, there is time to wait for the other.
"""

from collections.abc import Collection, Iterable
from typing import Final

from sublet.api.gpuclaim import Access
from sublet.api.times import MS_PER_SECOND, Millis
from sublet.binder.access import SHORTEST_WAIT_MS, Grant, leads_elsewhere
from sublet.binder.ports import ClusterSilent

SOON_MS: Final = 600 * MS_PER_SECOND
"""How soon a renewal that a silent cluster is missing from is made again."""
_LEFT_PARTS: Final = 6
"""A token that is written at the latest when a sixth of the old one's life is left is in time, as often as it fails."""


class Withheld(ClusterSilent):
    """The Secret is left as it was: the token of a silent cluster in it isn't known."""

    def __init__(self, alias: str, access: Access, behind: set[str], again_ms: Millis) -> None:
        super().__init__(alias)
        self.access = access
        """As the Secret has it."""
        self.behind = behind
        """Aliases of the clusters that gave no token."""
        self.again_ms = again_ms


def asked_again_ms(
    old: Access, aliases: Collection[str], renewed: Iterable[Grant], now_ms: Millis
) -> Millis | None:
    """Return when it is asked again whether a Secret is written that would lose a token; None if it must be written now.

    That is so when a token that it has of a cluster that answers is near its end, or is of no use any more. `aliases`:
    of the clusters that the claim has.
    """
    if old.lost_time is not None or old.secret_version is None:
        return None  # there is nothing in it, or nobody knows what
    if old.clusters[0].alias not in aliases:
        return None  # Flux and Argo CD deploy where it leads, and that is left
    before = {(c.alias, c.namespace): c for c in old.clusters}
    waits_ms = [SOON_MS]
    for each in renewed:
        known = before.get((each.alias, each.namespace))
        if known is None or leads_elsewhere(known, each.endpoint):
            return None
        # both ends are by the cluster's clock, however far it is from ours
        left_ms = known.expiration_time - (each.expires_ms - each.life_ms)
        waits_ms += [left_ms - each.life_ms // _LEFT_PARTS, each.life_ms // 2]
    return Millis(now_ms + min(waits_ms)) if min(waits_ms) >= SHORTEST_WAIT_MS else None
