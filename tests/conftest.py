"""Fixtures that all tests share."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.harness.stack import Stack, start_stack

# on a busy machine any example may take long; what hangs is ended by the test's own limit
settings.register_profile("sublet", deadline=None)
settings.load_profile("sublet")


@pytest.fixture(scope="module")
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """A hub and leased clusters of the module's own, installed and empty of nodes: those in its LEASED, else two."""
    name = f"{request.module.__name__.rsplit('.', 1)[-1]}-{os.getpid()}"
    running = start_stack(name, leased=getattr(request.module, "LEASED", ("west", "east")))
    yield running
    running.stop()
