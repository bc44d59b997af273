"""A hub with Sublet installed, and west as its landlord hands it over: nothing of Sublet is there."""

from collections.abc import Iterator

import pytest

from tests.harness.shared import borrow_bare_stack
from tests.harness.stack import Stack
from tests.integration.cli.program import Program


@pytest.fixture(scope="module")
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    hub = borrow_bare_stack(request.module.__name__.rsplit(".", 1)[-1])
    yield hub
    hub.stop()


@pytest.fixture(scope="module")
def sublet(stack: Stack) -> Program:
    return Program(stack)
