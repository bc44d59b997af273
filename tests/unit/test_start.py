"""The operator starts whatever state its ledger is in."""

from pathlib import Path

from structlog.testing import capture_logs

from sublet.app import Operator
from sublet.kube.session import ApiServer, Endpoint, Limits
from sublet.settings import Settings


async def test_a_damaged_ledger_is_said_and_holds_up_nothing_else(tmp_path: Path):
    (tmp_path / "ledger.sqlite").write_bytes(b"no database at all" * 1_000)
    settings = Settings(database_url=f"sqlite:///{tmp_path}/ledger.sqlite", leader_election=False)
    operator = Operator(settings, ApiServer(Endpoint("https://127.0.0.1:9"), Limits()))

    with capture_logs() as logs:
        await operator._try_ledger()

    assert [x["event"] for x in logs] == ["ledger"]
    assert "its file is damaged: stop the operator" in logs[0]["error"]
    await operator.close()
