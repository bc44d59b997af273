"""Workloads with more than one operator."""

from tests.faults.workloads.base import Workload
from tests.faults.world import World


async def _upgrade(world: World) -> None:
    """A claim comes, a new operator starts beside the old one, the old one is asked to end, another claim comes."""
    await world.make_claim("first", on=["west"])
    await world.operators.start()
    await world.make_claim("second", on=["west"], gpus=4)
    await world.operators.retire_first()
    await world.make_claim("third", on=["east"])
    for name in ("first", "second", "third"):
        await world.bound(name)


OPERATORS = (
    # two are at work as it is, and a third one is no upgrade
    Workload("upgrade", _upgrade, actions=("partition",)),
)
