"""A hub with Sublet installed, and west as its landlord hands it over: nothing of Sublet is there."""

from collections.abc import Iterator

import pytest

from tests.harness.shared import borrow_stack
from tests.harness.stack import Stack
from tests.integration.cli.program import Program


@pytest.fixture(scope="module")
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    name = request.module.__name__.rsplit(".", 1)[-1]
    running = borrow_stack(name, leased=(), bare=("west",))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def sublet(stack: Stack) -> Program:
    return Program(stack)
