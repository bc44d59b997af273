"""A month ends under a real operator: its bill is closed, its files come by themselves, and both say the same for ever."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from sublet.export.focus.audit import audit
from tests.builders.api import claim, gpu_class, lease, tenant
from tests.builders.nodes import gpu_node
from tests.harness.hours import Hours
from tests.harness.process import OperatorProcess
from tests.harness.stack import Stack, condition
from tests.harness.waiting import wait_for
from tests.integration.cli.program import Program

pytestmark = [pytest.mark.planes, pytest.mark.slow, pytest.mark.timeout(300)]

ACME = "acme"
CLOSED_AFTER = timedelta(days=4)
"""Later than the grace that periods have for late evidence."""


class Month:
    """The month in which the test begins, and what is made of it."""

    def __init__(self, stack: Stack, target: Path) -> None:
        self._stack, self.target = stack, target
        begun = datetime.now(UTC)
        self.name = f"{begun:%Y-%m}"
        over = (begun.replace(day=1) + timedelta(days=32)).replace(day=1)
        self.hours_to_its_closing = (over + CLOSED_AFTER - begun) / timedelta(hours=1)

    def statement(self) -> dict[str, Any]:
        """Return the month's statement, {} if there is none or it says nothing yet."""
        found = self._stack.get("hub", "gpustatement", "-n", ACME, f"{ACME}-{self.name}-usd")
        return found if found and found.get("status", {}).get("total") else {}

    def closed(self) -> dict[str, Any] | None:
        """Return the month's statement if it is closed."""
        found = self.statement()
        return found if condition(found, "Closed") == "True" else None

    def files(self, whose: str) -> Path:
        """Return the folder of its files."""
        return self.target / whose / self.name / "focus-1.4"

    def manifest(self, whose: str) -> dict[str, Any] | None:
        """Return the manifest of its files, if there is one of a closed period."""
        try:
            said: dict[str, Any] = json.loads((self.files(whose) / "manifest.json").read_bytes())
        except FileNotFoundError:
            return None
        return said if said["period"]["status"] == "Closed" else None


@pytest.fixture
def hours(stack: Stack) -> Hours:
    return Hours(stack)


@pytest.fixture
def month(stack: Stack, tmp_path: Path) -> Month:
    return Month(stack, tmp_path)


@pytest.fixture
def operator(stack: Stack, hours: Hours, month: Month) -> Iterator[OperatorProcess]:
    stack.apply("hub", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ACME}})
    stack.apply("west", gpu_node("h100-0"))
    stack.apply("hub", lease("west", committed=8), gpu_class(), tenant(), claim("train", ACME))
    running = hours.operator(
        SUBLET_STATEMENT_SECONDS="1",
        SUBLET_EXPORT_TARGET=str(month.target),
        SUBLET_EXPORT_SELLER="Example GmbH",
    ).start()
    yield running
    running.kill()


def test_a_month_is_closed_and_filed_and_comes_back_as_it_was(
    operator: OperatorProcess, stack: Stack, hours: Hours, month: Month
):
    wait_for("bound", lambda: stack.is_bound(ACME, "train"))
    wait_for("an open bill", month.statement)

    hours.move(month.hours_to_its_closing)
    bill = wait_for("the month is closed", month.closed)
    whose = f"tenants/{ACME}"
    manifest = wait_for("the tenant's files", lambda: month.manifest(whose), seconds=90)
    wait_for("the landlords' files", lambda: month.manifest("wholesale"))

    assert manifest["ledger"] == {"seq": bill["status"]["ledgerSeq"], "hash": bill["status"]["ledgerHead"]}  # fmt: skip
    assert [list(audit(month.files(each))) for each in (whose, "wholesale")] == [[], []]
    assert _billed(month.files(whose)) == Decimal(bill["status"]["total"])

    stack.kubectl("hub", "delete", "gpustatement", "-n", ACME, bill["metadata"]["name"])
    again = wait_for("it comes back", month.closed)
    assert again["status"]["lines"] == bill["status"]["lines"]
    shown = Program(stack).works("statement", month.name, "-n", ACME)
    assert shown.line("total").split()[-2:] == [bill["status"]["total"], "USD"]


def _billed(folder: Path) -> Decimal:
    """Return what the rows of a folder come to, as an invoice rounds it."""
    (file,) = folder.glob("cost-and-usage-*.parquet")
    exact: Decimal = pc.sum(pq.read_table(file).column("BilledCost")).as_py()
    return exact.quantize(Decimal("0.01"))
