"""How the process begins and ends: it leads when it can work, and whatever ends it, it is closed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from sublet import process
from sublet.app import Operator
from sublet.drift.behind import Behind
from sublet.hub.lockout import until_locked_out
from sublet.kube.session import Endpoint
from sublet.settings import Settings
from tests.builders.api import uid_of
from tests.harness.fake_api import FakeApi, answering, eventually, silence
from tests.harness.followed_hub import empty, followed_hub

_SECRETS = "/api/v1/namespaces/sublet-system/secrets"
_LEASES = "/apis/coordination.k8s.io/v1/namespaces/sublet-system/leases"


class Running:
    """A process on a hub."""

    def __init__(self, hub: FakeApi, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        hub.objects["/api/v1/namespaces/kube-system"] = {"metadata": {"uid": uid_of("hub")}}
        self._hub = hub
        self.operators: list[Operator] = []
        self._settings = Settings(
            database_url=f"sqlite:///{folder}/ledger.sqlite",
            listen_host="127.0.0.1",
            listen_port=0,
            admin_port=0,
        )
        monkeypatch.setattr(process, "hub_endpoint", self._endpoint)
        monkeypatch.setattr(process, "Operator", self._made)

    async def _endpoint(self, **_: Any) -> Endpoint:
        return self._hub.endpoint

    def _made(self, *args: Any) -> Operator:
        self.operators.append(Operator(*args))
        return self.operators[-1]

    async def run(self) -> int:
        return await process.run(self._settings)

    def asked(self, path: str) -> bool:
        """Say whether the hub was asked for something there."""
        return any(r.path.startswith(path) for r in self._hub.requests)


@asynccontextmanager
async def standing_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secrets: Any = empty, asked: str = _LEASES
) -> AsyncIterator[tuple[Running, asyncio.Task[int], list[Any]]]:
    """Yield a process that has asked for this, by default one that tries for the Lease, its task and its logs."""
    async with followed_hub() as hub:
        hub.objects[_SECRETS] = secrets
        running = Running(hub, tmp_path, monkeypatch)
        with capture_logs() as logs:
            task = asyncio.create_task(running.run())
            await eventually(f"asked for {asked}", lambda: running.asked(asked))
            yield running, task, logs


async def test_nobody_leads_before_it_can_plan_and_who_is_told_to_stop_meanwhile_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async with standing_by(tmp_path, monkeypatch, silence, _SECRETS) as (running, task, logs):
        await asyncio.sleep(0.1)
        running.operators[0].stop.set()
        status = await task

    assert not running.asked(_LEASES)
    assert (status, logs[-1]["event"]) == (0, "stopped")


async def test_a_surprise_at_the_start_ends_the_process_and_leaves_nothing_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async def surprised(*_: Any) -> None:
        raise KeyError("items")

    monkeypatch.setattr("sublet.app.first_list", surprised)
    async with followed_hub() as hub:
        running = Running(hub, tmp_path, monkeypatch)
        with capture_logs() as logs, pytest.raises(KeyError):
            await running.run()

    (runner,) = {r.server for r in running.operators[0]._runners}
    assert runner is None
    assert logs[-1]["event"] == "stopped"


async def test_a_process_that_the_hub_lets_in_no_more_ends_as_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    soon = partial(until_locked_out, every_seconds=0.01, tries=3)
    monkeypatch.setattr(process, "until_locked_out", soon)
    async with followed_hub() as hub:
        hub.objects[_SECRETS] = silence
        running = Running(hub, tmp_path, monkeypatch)
        with capture_logs() as logs:
            task = asyncio.create_task(running.run())
            await eventually("asked for the Secrets", lambda: running.asked(_SECRETS))
            hub.objects["/api/v1/namespaces/kube-system"] = answering(401, "Unauthorized")
            status = await asyncio.wait_for(task, 30)

    assert (status, logs[-1]["event"]) == (1, "stopped")
    assert [x["error"] for x in logs if x["log_level"] == "error"] == [
        "401 Unauthorized: no message"
    ]


async def test_a_replica_that_breaks_down_as_it_comes_to_lead_ends_as_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async def broken(_: Behind) -> None:
        raise KeyError("items")

    async with standing_by(tmp_path, monkeypatch) as (running, task, logs):
        monkeypatch.setattr(Behind, "compare", broken)
        running.operators[0].leadership.gained.set()
        with pytest.raises(KeyError):
            await asyncio.wait_for(task, 30)

    assert logs[-1]["event"] == "stopped"


async def test_a_replica_that_loses_the_lease_ends_as_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async with standing_by(tmp_path, monkeypatch) as (running, task, logs):
        running.operators[0].leadership.gained.set()
        running.operators[0].leadership.lost.set()
        status = await asyncio.wait_for(task, 30)

    assert (status, logs[-1]["event"]) == (1, "stopped")


async def test_a_pod_is_ready_when_the_hub_is_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    followed: list[Any] = []
    listen = Operator.listen

    async def listening(self: Operator, **options: Any) -> None:
        followed.append(options["followed"])
        await listen(self, **options)

    monkeypatch.setattr(Operator, "listen", listening)
    async with followed_hub() as hub:
        hub.objects[_SECRETS] = empty
        running = Running(hub, tmp_path, monkeypatch)
        task = asyncio.create_task(running.run())
        await eventually("listening", lambda: followed)
        before = followed[0]()
        await eventually("followed", followed[0])
        running.operators[0].stop.set()
        await task

    assert not before


async def test_a_kubeconfig_that_is_none_is_said_with_its_file_and_the_variables_that_name_it(
    tmp_path: Path,
):
    path = tmp_path / "config"
    path.write_text("no kubeconfig\n")

    with pytest.raises(ValueError, match=f"in {path}; set SUBLET_KUBECONFIG or KUBECONFIG$"):
        await process.run(Settings(kubeconfig=str(path)))
