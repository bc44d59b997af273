"""The operator starts whatever state its ledger is in, and changes nothing while it does not lead."""

import asyncio
import gc
import json
import socket
import weakref
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from sublet import process
from sublet.api.ids import LeaseUID
from sublet.app import Operator
from sublet.fleet.credential import Credential
from sublet.kube.errors import Unreachable
from sublet.kube.session import ApiServer, Endpoint, Limits
from sublet.settings import Settings
from tests.builders.api import as_lease
from tests.harness.fake_api import eventually


class Halt(Exception):
    """Ends a start in its middle."""


async def nowhere(**_: Any) -> Endpoint:
    """Return where no hub is."""
    return Endpoint("https://127.0.0.1:9")


async def test_a_damaged_ledger_is_said_and_holds_up_nothing_else(tmp_path: Path):
    (tmp_path / "ledger.sqlite").write_bytes(b"no database at all" * 1_000)
    settings = Settings(database_url=f"sqlite:///{tmp_path}/ledger.sqlite", leader_election=False)
    operator = Operator(settings, ApiServer(Endpoint("https://127.0.0.1:9"), Limits()))

    with capture_logs() as logs:
        await operator._try_ledger()

    assert [x["event"] for x in logs] == ["ledger"]
    assert "its file is damaged: stop the operator" in logs[0]["error"]
    await operator.close()


async def test_the_bound_on_a_leases_requests_is_kept_while_somebody_holds_it(tmp_path: Path):
    settings = Settings(database_url=f"sqlite:///{tmp_path}/ledger.sqlite", leader_election=False)
    operator = Operator(settings, ApiServer(Endpoint("https://127.0.0.1:9"), Limits()))
    uid = LeaseUID("west")

    held = operator.tools.slots(uid)
    assert operator.tools.slots(uid) is held
    left = weakref.ref(held)
    del held
    gc.collect()

    assert left() is None
    await operator.close()


async def test_a_replica_without_the_lease_changes_nothing_anywhere(tmp_path: Path):
    settings = Settings(
        database_url=f"sqlite:///{tmp_path}/ledger.sqlite", allow_local_clusters=True
    )
    operator = Operator(settings, ApiServer(Endpoint("https://127.0.0.1:9"), Limits()))
    west = as_lease()
    await operator.fleet.engage(west, Credential(endpoint=Endpoint("https://127.0.0.1:9")))
    cluster = operator.fleet.connection(LeaseUID(west.metadata.uid))

    assert cluster is not None
    for api in (operator.hub, cluster.api):
        with pytest.raises(Unreachable, match="doesn't lead"):
            await api.delete("/api/v1/namespaces/sublet")
    await operator.close()


async def test_a_part_that_ends_by_a_fault_is_said_at_once(tmp_path: Path):
    settings = Settings(database_url=f"sqlite:///{tmp_path}/ledger.sqlite", leader_election=False)
    operator = Operator(settings, ApiServer(Endpoint("https://127.0.0.1:9"), Limits()))

    async def broken() -> None:
        raise KeyError("x")

    with capture_logs() as logs:
        operator._spawn(broken())
        operator._spawn(asyncio.sleep(600))
        await eventually("it is said", lambda: logs)
        await operator.close()

    assert [(x["event"], x["log_level"]) for x in logs] == [
        ("a part of the operator ended", "error"),
        ("stopped", "info"),
    ]


async def test_an_operator_that_breaks_down_isnt_taken_for_one_with_a_wrong_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Of a wrong setting one line is printed; of a fault its traceback, or nobody could mend it."""

    async def broken(_: Operator) -> None:
        json.loads("{")

    monkeypatch.setattr(process, "hub_endpoint", nowhere)
    monkeypatch.setattr(Operator, "start", broken)
    with pytest.raises(RuntimeError, match="the operator broke down"):
        await process.run(
            Settings(
                database_url=f"sqlite:///{tmp_path}/ledger.sqlite", listen_port=0, admin_port=0
            )
        )


@pytest.mark.parametrize(
    ("setting", "value", "why"),
    [("listen_host", "999.1.1.1", r"999\.1\.1\.1"), ("listen_port", 0, "in use")],
)
async def test_a_place_where_it_cant_listen_is_a_wrong_setting_and_isnt_tried_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str, value: Any, why: str
):
    monkeypatch.setattr(process, "hub_endpoint", nowhere)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = Settings(
            database_url=f"sqlite:///{tmp_path}/ledger.sqlite",
            admin_port=0,
            **{"listen_host": "127.0.0.1", "listen_port": taken.getsockname()[1]}
            | ({setting: value} if value else {}),
        )
        with pytest.raises(ValueError, match=rf"^SUBLET_LISTEN_HOST, .*{why}") as said:
            await process.run(settings)

    assert "\n" not in str(said.value)


async def test_the_hub_is_compared_with_the_ledger_before_anything_can_write_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    settings = Settings(database_url=f"sqlite:///{tmp_path}/ledger.sqlite", leader_election=False)
    operator = Operator(settings, ApiServer(Endpoint("https://127.0.0.1:9"), Limits()))
    compared: list[int] = []

    async def read() -> None:
        pass

    async def compare() -> None:
        compared.append(len(operator._tasks))
        raise Halt

    monkeypatch.setattr(operator, "_until_read", read)
    monkeypatch.setattr(operator.behind, "compare", compare)
    with pytest.raises(Halt):
        await operator.start()
    await operator.close()

    assert compared == [0]


async def test_the_hub_is_compared_with_the_ledger_when_a_replica_comes_to_lead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    settings = Settings(database_url=f"sqlite:///{tmp_path}/ledger.sqlite")
    operator = Operator(settings, ApiServer(Endpoint("https://127.0.0.1:9"), Limits()))
    compared = asyncio.Event()

    async def compare() -> None:
        compared.set()

    monkeypatch.setattr(operator.behind, "compare", compare)
    follows = asyncio.create_task(operator.follow_leadership())
    await asyncio.sleep(0)
    assert not compared.is_set()
    operator.leadership.gained.set()
    await compared.wait()

    follows.cancel()
    await operator.close()


async def test_a_replica_that_comes_to_lead_plans_when_the_hub_was_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    settings = Settings(database_url=f"sqlite:///{tmp_path}/ledger.sqlite")
    operator = Operator(settings, ApiServer(Endpoint("https://127.0.0.1:9"), Limits()))
    happened: list[str] = []
    marked = asyncio.Event()

    async def compare() -> None:
        await asyncio.sleep(0)
        happened.append("compared")

    def mark() -> None:
        happened.append("marked")
        marked.set()

    monkeypatch.setattr(operator.behind, "compare", compare)
    monkeypatch.setattr(operator.batcher, "mark", mark)
    operator.leadership.gained.set()
    follows = asyncio.create_task(operator.follow_leadership())
    await marked.wait()

    follows.cancel()
    await operator.close()
    assert happened[:2] == ["compared", "marked"]
