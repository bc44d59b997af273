"""Room in the lists of a claim's downtimes and outages: what goes for what begins, and what is said until it may go.

An entry may go only when both its lines are in the ledger, of which the book knows nothing. So each list is decided
twice: as it is to be once all that the status calls for is written, and as it is to be until then, without any loss.
What finds no room is looked at again by a later pass.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from sublet.api.downtime import Downtime
from sublet.api.outage import Outage

T = TypeVar("T", bound=Outage | Downtime)


def fitted(
    known: Sequence[T], found: Sequence[T], is_open: Callable[[T], bool], most: int
) -> tuple[tuple[T, ...], tuple[T, ...]]:
    """Return what of a list stays once the lines of `known` are in the ledger, and what stays until then.

    `found` is what `known` has become, entry by entry, and then what begins. The oldest that was over before goes first:
    of one that ends only now nobody has written the end. One that lasts stays, or nobody would close its line.
    """
    over = [i for i, each in enumerate(known) if not is_open(each)]
    dropped = set(over[: max(0, len(found) - most)])
    kept = [each for i, each in enumerate(found) if i not in dropped]
    return tuple(kept[:most]), tuple(found[:most])
