"""Who gets what from the operator's ports: a tenant's pod nothing, with its token or without, by any address."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from sublet.kube.errors import KubeError
from sublet.serve.auth import MetricsGate
from sublet.serve.server import listen_as
from sublet.settings import Settings
from tests.harness.fake_api import SteppedClock

PROMETHEUS, TENANT = "token-of-prometheus", "token-of-a-tenants-pod"


class Hub:
    """Knows two tokens, and lets one of them read /metrics."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.is_away = False

    async def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Answer a review."""
        self.asked.append(path.rsplit("/", 1)[1])
        if self.is_away:
            raise KubeError("the hub doesn't answer")
        spec = body["spec"]
        if "token" in spec:
            known = spec["token"] in (PROMETHEUS, TENANT)
            user = {"username": spec["token"].removeprefix("token-of-"), "uid": "u", "groups": ["g"]}  # fmt: skip
            return {"status": {"authenticated": known, "user": user if known else {}}}
        assert spec["nonResourceAttributes"] == {"path": "/metrics", "verb": "get"}
        return {"status": {"allowed": spec["user"] == "prometheus"}}


@pytest.fixture
def hub() -> Hub:
    return Hub()


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def gate(hub: Hub, clock: SteppedClock) -> MetricsGate:
    asked: Any = hub
    return MetricsGate(asked, clock)


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("", 401),
        ("Bearer ", 401),
        (f"Basic {PROMETHEUS}", 401),
        ("Bearer forged", 401),
        (f"Bearer {TENANT}", 403),
        (f"Bearer {PROMETHEUS}", 200),
    ],
)
async def test_only_whom_the_hub_lets_reads_the_metrics(gate: MetricsGate, header: str, status: int):  # fmt: skip
    assert await gate.status(header) == status


async def test_while_the_hub_is_away_nobody_new_reads_them(gate: MetricsGate, hub: Hub):
    hub.is_away = True

    assert await gate.status(f"Bearer {PROMETHEUS}") == 503


async def test_an_answer_is_remembered_for_half_a_minute_and_not_longer(
    gate: MetricsGate, hub: Hub, clock: SteppedClock
):
    for _ in range(3):
        await gate.status(f"Bearer {TENANT}")
    assert hub.asked == ["tokenreviews", "subjectaccessreviews"]

    clock.seconds += 31
    await gate.status(f"Bearer {TENANT}")
    assert len(hub.asked) == 4


@asynccontextmanager
async def both_ports(host: str) -> AsyncIterator[tuple[int, int]]:
    """Serve the two listeners as the operator does; yield their ports, the public one first."""
    settings = Settings(listen_host=host, listen_port=0, admin_port=0)
    runners = await listen_as(settings, public=web.Application(), admin=web.Application())
    public, admin = (int(runner.addresses[0][1]) for runner in runners)
    try:
        yield public, admin
    finally:
        for runner in runners:
            await runner.cleanup()


async def test_the_admin_endpoint_answers_on_loopback_alone_wherever_the_public_one_listens():
    """127.0.0.2 stands for the pod's address: it leads to this machine, and isn't what the endpoint is bound to."""
    async with both_ports("0.0.0.0") as (public, admin), aiohttp.ClientSession() as session:
        async with session.get(f"http://127.0.0.2:{public}/") as answer:
            assert answer.status == 404
        async with session.get(f"http://127.0.0.1:{admin}/") as answer:
            assert answer.status == 404
        with pytest.raises(ConnectionRefusedError):
            await asyncio.to_thread(socket.create_connection, ("127.0.0.2", admin), 5)


async def test_a_port_that_is_taken_leaves_the_other_one_free_for_the_next_try():
    nothing = web.Application
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("", 0)) as found:
        public, admin = found.getsockname()[1], taken.getsockname()[1]
        found.close()
        settings = Settings(listen_port=public, admin_port=admin)
        with pytest.raises(OSError, match="address already in use"):
            await listen_as(settings, public=nothing(), admin=nothing())
        taken.close()

    for runner in await listen_as(settings, public=nothing(), admin=nothing()):
        await runner.cleanup()
