"""What is judged by a hub that was put back: what is done since, and not what was on its way by then."""

import random
from collections.abc import Callable, Iterator

import pytest

from tests.builders.api import claim, uid_of
from tests.simulation.answers import Request
from tests.simulation.checks import Checks
from tests.simulation.loop import SimLoop
from tests.simulation.plan import Plan
from tests.simulation.store import Key, copy
from tests.simulation.world import World

BEFORE, SINCE = "a#1", "a#2"
"""An operator that ended before the hub was restored, and the next one."""
CLAIM = Key("gpuclaims", "acme", "train")
NODE = Key("nodes", "", "west-0")


@pytest.fixture
def world() -> Iterator[World]:
    """Return a world with one node in which nobody acts, watched by the checks."""
    loop = SimLoop(random.Random(1))
    made = World(Plan.of(1).narrowed(nodes=(1,), sharing=("None",), replicas=1, belt=False), loop)
    checks = Checks(made)
    yield made
    checks.close()
    made.database.close()
    loop.close()


def bind(world: World) -> str:
    """Let a claim be bound, with its entry in the node's book; return its UID."""
    node = world.leased["west"].store.objects[NODE]
    body = claim(CLAIM.name, CLAIM.namespace)
    place = {"lease": "west", "node": NODE.name, "nodeUID": node["metadata"]["uid"], "gpus": 8}
    body["status"] = {
        "allocation": {"sequence": 1, "placements": [place]},
        "conditions": [{"type": x, "status": "True"} for x in ("Reserved", "Bound")],
    }
    world.is_hub_older = True  # what a claim needs to be bound isn't what is tried here
    uid: str = world.hub.store.put(CLAIM, body)["metadata"]["uid"]
    write_book(world, uid, "")
    return uid


def take_off(world: World, actor: str) -> None:
    """Take every entry off the node."""
    write_book(world, "", actor)


def write_book(world: World, uid: str, actor: str) -> None:
    """Give the node to a claim alone, or to none."""
    west = world.leased["west"].store
    node = copy(west.objects[NODE])
    meta = node["metadata"]
    meta["annotations"]["sublet.dev/allocation"] = f"{uid}=8" if uid else ""
    meta["labels"] = {f"claim.sublet.dev/{uid}": "true"} if uid else {}
    west.put(NODE, node, actor)


def release(world: World) -> None:
    """Let the claim be released, by the hub that is about to be lost."""
    body = copy(world.hub.store.objects[CLAIM])
    body["status"]["conditions"].append({"type": "Releasing", "status": "True"})
    world.hub.store.put(CLAIM, body, BEFORE)


def vacate(world: World) -> None:
    """Take the claim off its node, as the operator of then did."""
    take_off(world, BEFORE)


def put_back(world: World, *meanwhile: Callable[[World], object]) -> None:
    """Restore the hub to what it was before something happened; the operator of then has ended."""
    kept = world.hub.store.backup()
    for happen in meanwhile:
        happen(world)
    world.network.dead.add(BEFORE)
    world.hub.store.restore(kept)


who = pytest.mark.parametrize(("actor", "is_wrong"), [(BEFORE, False), (SINCE, True)])


@who
def test_a_bound_claim_is_taken_off_by_who_saw_it_released_alone(
    world: World, actor: str, is_wrong: bool
):
    bind(world)
    put_back(world, release)
    take_off(world, actor)

    assert ("S1" in broken(world)) is is_wrong


@who
def test_a_claim_that_a_restored_hub_doesnt_know_is_taken_off_by_who_knew_it_alone(
    world: World, actor: str, is_wrong: bool
):
    put_back(world, bind)
    take_off(world, actor)

    assert ("S9" in broken(world)) is is_wrong


@who
def test_a_node_of_a_bound_claim_is_sold_again_by_who_saw_it_free_alone(
    world: World, actor: str, is_wrong: bool
):
    bind(world)
    put_back(world, release, vacate)
    write_book(world, uid_of("another"), actor)

    assert ("S1" in broken(world)) is is_wrong


@who
def test_what_a_bound_claim_has_is_deleted_by_who_saw_it_released_alone(
    world: World, actor: str, is_wrong: bool
):
    home = f"sublet-{bind(world)}-1"
    put_back(world, release)
    west = world.leased["west"]
    west.deleting(Key("namespaces", "", home), {}, Request("DELETE", "", actor=actor))

    assert ("S7" in broken(world)) is is_wrong


def broken(world: World) -> set[str]:
    """Return the rules that were broken."""
    return {violation.partition(":")[0] for violation in world.violations}
