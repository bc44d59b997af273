"""When a plan may be judged: everybody has made up their mind, and nothing was written for a while."""

import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.faults.journal import target_of
from tests.faults.world import World

PODS = "/api/v1/namespaces/sublet-00000000-0000-0000-0000-000000000000-1/pods"
OLD, NEW = 1, 2


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return a world in which one operator runs since before the plan began."""
    found = World(SimpleNamespace(folder=tmp_path))
    running = [OLD]
    monkeypatch.setattr(found.operators, "pids", lambda: running)
    found.begin()
    return found


def prove(world: World, cluster: str, pid: int, *, status: int = 403) -> None:
    """Let an operator try in a cluster whether a bad pod is refused."""
    target = target_of("POST", PODS, "application/json", {})
    world.journal.note(cluster, target, {"dryRun": "All"}, pid, b"{}").status = status


def test_who_ran_before_the_plan_stands(world: World):
    assert world.all_stand()


def test_who_began_meanwhile_stands_once_it_has_proven_both_clusters(world: World):
    world.operators.pids().append(NEW)
    prove(world, "west", NEW)
    prove(world, "east", OLD)
    prove(world, "east", NEW, status=201)
    assert not world.all_stand()

    prove(world, "east", NEW)
    assert world.all_stand()


def test_nobody_stands_where_nobody_runs(world: World):
    world.operators.pids().clear()
    assert not world.all_stand()


def test_a_silence_begins_anew_with_what_has_just_happened(world: World):
    assert world.is_quiet(0.4)
    assert not world.is_quiet(60.0, since=time.monotonic())
