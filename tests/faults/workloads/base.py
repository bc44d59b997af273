"""What a workload is."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

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
    views: tuple[str, ...] = (CLAIMS_VIEW, NODES_VIEW)
    """Watched kinds whose old views are tried, as `cluster resource`."""
    actions: tuple[str, ...] = ()
    """More actions at each write than the usual ones: partition, overtaken."""
