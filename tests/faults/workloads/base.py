"""What a workload is."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from tests.faults.plan import MORE_ACTIONS
from tests.faults.world import World

Step = Callable[[World], Coroutine[Any, Any, None]]
CLAIMS_VIEW: Final = "hub gpuclaims"
NODES_VIEW: Final = "west nodes"


async def nothing(world: World) -> None:
    """Do nothing."""


@dataclass(frozen=True)
class Workload:
    """One story."""

    name: str
    act: Step
    """Does it and returns when its end is reached."""
    prepare: Step = nothing
    clean: Step = nothing
    """Takes back what deleting all claims doesn't."""
    also: tuple[Step, ...] = ()
    """Acts with another end that a fault may rightly turn it into: learned once each, and no fault is put into them."""
    actions: tuple[str, ...] = MORE_ACTIONS
    """More actions at each write than the usual ones."""
    pairs: tuple[str, ...] = ()
    """Watched kinds, as `cluster resource`, of which it changes an object there and back at once."""
    with_counted: bool = False
    """Whether old views of leases, classes and tenants are tried, too: of them most workloads change counts alone."""
    not_old: tuple[str, ...] = ()
    """Watched kinds of which no old view is tried, since the end rightly depends on it."""
