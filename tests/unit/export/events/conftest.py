"""What the tests of the outbox share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sublet.store.sql import SqlLedger
from tests.harness.outbox import World
from tests.harness.sink import real_sink


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    ledger = SqlLedger(f"sqlite:///{tmp_path}/ledger.sqlite")
    async with real_sink() as sink:
        made = World(ledger, sink)
        yield made
        await made.close()
    await ledger.close()
