"""What the tests of leased clusters share."""

from collections.abc import AsyncIterator

import pytest

from tests.harness.fake_api import FakeApi
from tests.harness.leased import one_node


@pytest.fixture
async def fake() -> AsyncIterator[FakeApi]:
    """Run a cluster with one node, n0."""
    async with one_node() as running:
        yield running
