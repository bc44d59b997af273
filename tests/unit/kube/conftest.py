"""A fake API server for the tests of what follows and asks one."""

from collections.abc import AsyncIterator

import pytest

from tests.harness.fake_api import FakeApi, fake_api


@pytest.fixture
async def fake() -> AsyncIterator[FakeApi]:
    async with fake_api() as running:
        yield running
