"""Fixtures that all tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.harness.shared import borrow_stack, stop_shared
from tests.harness.stack import Stack

# on a busy machine any example may take long; what hangs is ended by the test's own limit
settings.register_profile("sublet", deadline=None)
settings.load_profile("sublet")


@pytest.fixture(scope="module")
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """A hub and two leased clusters, installed and empty of nodes, for the module alone until it ends."""
    running = borrow_stack(request.module.__name__.rsplit(".", 1)[-1])
    yield running
    running.stop()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let modules that wait for control planes begin first, and long ones before short ones: at the end cores would idle.

    Those with tenants to attack come last of the planes', side by side: their planes are set up once.
    """
    turns: dict[Path, int] = {}  # module -> its turn
    for item in items:
        turns[item.path] = max(_turn(item), turns.get(item.path, 0))
    items.sort(key=lambda item: turns[item.path])


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Stop the shared planes with the first module that needs none: they would take time and memory from the rest."""
    if item.get_closest_marker("planes") is None:
        stop_shared()


def _turn(item: pytest.Item) -> int:
    if item.get_closest_marker("planes") is None:
        return 3 if item.get_closest_marker("slow") is None else 2
    return int("tenancy" in getattr(item, "fixturenames", ()))


def pytest_sessionfinish() -> None:
    """Stop the planes that modules have shared."""
    stop_shared()
