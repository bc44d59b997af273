"""A tenant sees its bill with its own rights, and nobody but the ledger says what stands in it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.builders.api import claim, gpu_class, lease, tenant
from tests.builders.nodes import gpu_node
from tests.harness.process import OperatorProcess
from tests.harness.stack import Stack, condition
from tests.harness.waiting import wait_for
from tests.integration.cli.program import Program

pytestmark = [pytest.mark.planes, pytest.mark.timeout(300)]

ACME = "acme"


@pytest.fixture(scope="module")
def operator(stack: Stack) -> Iterator[OperatorProcess]:
    stack.apply("hub", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ACME}})
    stack.apply("west", gpu_node("h100-0"))
    stack.apply("hub", lease("west", committed=8), gpu_class(), tenant(), claim("train", ACME))
    _let_edit(stack)
    running = OperatorProcess(stack, SUBLET_STATEMENT_SECONDS="1").start()
    wait_for("bound", lambda: stack.is_bound(ACME, "train"))
    yield running
    running.kill()


def _let_edit(stack: Stack) -> None:
    """Let ann edit in acme's namespace, as a platform team lets its tenants."""
    stack.kubectl(
        "hub", "create", "rolebinding", "ann", "-n", ACME, "--clusterrole=edit", "--user=ann"
    )


def _statement(stack: Stack) -> dict[str, Any] | None:
    items = (stack.get("hub", "gpustatements", "-n", ACME) or {"items": []})["items"]
    return items[0] if items and items[0]["status"].get("total") else None


def test_what_a_claim_costs_stands_in_its_namespace_line_by_line(
    operator: OperatorProcess, stack: Stack
):
    found = wait_for("a statement", lambda: _statement(stack))

    (line,) = found["status"]["lines"]
    assert (line["category"], line["className"]) == ("Use", "h100")
    assert found["status"]["total"] == line["amount"]
    assert (condition(found, "Ready"), condition(found, "Closed")) == ("True", "False")
    assert found["spec"]["currency"] == "USD"


def test_it_goes_on_with_the_claim_and_comes_back_when_it_is_deleted(
    operator: OperatorProcess, stack: Stack
):
    before = wait_for("a statement", lambda: _statement(stack))
    stack.kubectl("hub", "delete", "gpustatement", "-n", ACME, before["metadata"]["name"])

    again = wait_for("it is there again", lambda: _statement(stack))

    assert again["metadata"]["uid"] != before["metadata"]["uid"]
    assert again["spec"] == before["spec"]
    hours = [x["status"]["lines"][0]["gpuMilliseconds"] for x in (before, again)]
    assert hours[1] > hours[0]


def test_a_tenant_reads_it_and_can_neither_make_nor_change_nor_delete_one(
    operator: OperatorProcess, stack: Stack
):
    found = wait_for("a statement", lambda: _statement(stack))
    name = found["metadata"]["name"]

    assert name in stack.kubectl("hub", "get", "gpustatements", "-n", ACME, "--as=ann")
    for refused in (
        ("delete", "gpustatement", "-n", ACME, name),
        ("annotate", "gpustatement", "-n", ACME, name, "a=b"),
        ("get", "gpustatements", "-n", "default"),
    ):
        assert "forbidden" in stack.kubectl("hub", *refused, "--as=ann", check=False)


def test_the_program_shows_it_to_people_and_to_programs(operator: OperatorProcess, stack: Stack):
    found = wait_for("a statement", lambda: _statement(stack))
    month = found["spec"]["month"]

    program = Program(stack)
    assert month in program.works("statement", "-n", ACME).said
    assert program.works("statement", month, "-n", ACME).line("total").endswith("USD")
    data = json.loads(program.works("statement", month, "-n", ACME, "-o", "json").said)
    assert data[0]["spec"] == found["spec"]
