"""The second identity on the hub: when another token is asked for."""

import asyncio
from typing import Any

import pytest

from sublet.hub import in_cluster
from sublet.hub.in_cluster import TOKEN_SECONDS, HubIdentity
from tests.harness.fake_api import eventually


class Hub:
    """Grants tokens of so long a life, and says that they end at an instant of another clock."""

    endpoint: Any = None

    def __init__(self, granted: int | None = TOKEN_SECONDS) -> None:
        self.given = 0
        self._spec = {} if granted is None else {"spec": {"expirationSeconds": granted}}

    async def create(self, *_: Any) -> dict[str, Any]:
        self.given += 1
        status = {"token": f"token-{self.given}", "expirationTimestamp": "1999-01-01T00:00:00Z"}
        return {**self._spec, "status": status}


def identity(hub: Any) -> HubIdentity:
    return HubIdentity(hub, "sublet-system", lambda: None)


@pytest.mark.parametrize(
    ("granted", "seconds"), [(TOKEN_SECONDS, 1_800), (600, 300), (86_400, 1_800), (None, 1_800)]
)
async def test_a_token_is_renewed_at_half_of_the_life_that_was_granted_whatever_the_hubs_clock_says(
    granted: int | None, seconds: float
):
    assert await identity(Hub(granted))._renew() == seconds


async def test_another_token_is_asked_for_once_the_hub_doesnt_take_this_one(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(in_cluster, "_RETRY_SECONDS", 0.0)
    hub = Hub()
    own = identity(hub)
    task = asyncio.create_task(own._renew_forever())
    await eventually("the first token", lambda: hub.given == 1)

    own.refused()

    await eventually("the second", lambda: hub.given == 2)
    await asyncio.sleep(0)
    assert hub.given == 2
    task.cancel()
