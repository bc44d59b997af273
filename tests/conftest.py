"""Fixtures that all tests share."""

from collections.abc import Iterator

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
    """Let modules that wait for control planes begin first: at the end they would leave the cores idle."""
    items.sort(key=lambda item: item.get_closest_marker("planes") is None)


def pytest_sessionfinish() -> None:
    """Stop the planes that modules have shared."""
    stop_shared()
