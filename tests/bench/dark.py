"""Two leased clusters, one of which answers nothing: whether it keeps the binds in the other waiting."""

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sublet.cli.onboarding.credential import hub_secret
from tests.bench.results import Row, beside, least, most
from tests.bench.waits import Wait, behind, bind_of, waits_of
from tests.builders.api import claim, gpu_class, lease, tenant
from tests.builders.nodes import H100, H200, gpu_node
from tests.harness.process import OperatorProcess
from tests.harness.relay import Relay, relayed
from tests.harness.stack import (
    NAMESPACE as SYSTEM,
    Stack,
    condition,
    leased_kubeconfig,
    start_stack,
)
from tests.harness.tracing import Request, read_trace
from tests.harness.waiting import wait_for

ROUNDS, CLAIMS, DARK_CLAIMS = 7, 24, 6
NAMESPACE = "bench"


def measure() -> list[Row]:
    """Return the rows."""
    stack = start_stack("dark", leased=("west", "east"))
    try:
        stack.apply(
            "hub", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        )
        stack.apply("hub", tenant("bench", namespaces=(NAMESPACE,)), gpu_class())
        stack.apply("hub", gpu_class("h200", products=(H200.product,)))
        return list(_rows(*_rounds(stack)))
    finally:
        stack.stop()


@dataclass(frozen=True)
class Round:
    """What came of some binds in one cluster while another answered, or didn't."""

    rate: float
    """Binds per second."""
    waits: list[Wait]
    strays: list[Request]
    """Requests of these binds that went to the other cluster."""
    others: list[Request]
    """Requests to the other cluster that were under way meanwhile."""

    @property
    def longest_wait(self) -> float:
        """Return the longest wait within a bind, from its claim's creation on."""
        return max(each.seconds for each in self.waits)


def _rounds(stack: Stack) -> tuple[list[Round], list[Round]]:
    """Bind claims in one cluster while another answers, and while it answers nothing, in turn; return both kinds of rounds."""
    stack.apply("west", *(gpu_node(f"n{i:02d}", H100) for i in range(CLAIMS)))
    stack.apply("east", *(gpu_node(f"d{i:02d}", H200) for i in range(DARK_CLAIMS)))
    with _through_a_relay(stack, "east") as link:
        dark = lease("east", product=H200.product, committed=DARK_CLAIMS * 8)
        stack.apply("hub", lease("west", committed=CLAIMS * 8), dark)
        file = stack.folder / "dark.trace"
        operator = OperatorProcess(stack, "dark", module="tests.harness.tracing")
        operator.start(TRACE_FILE=str(file), SUBLET_LEADER_ELECTION="false")
        _wait_free(stack, "west", CLAIMS * 8)
        _wait_free(stack, "east", DARK_CLAIMS * 8)
        rounds: dict[bool, list[Round]] = {False: [], True: []}
        for number in range(2 * ROUNDS):
            is_dark = number % 4 in (1, 2)  # what drifts strikes both kinds alike
            rounds[is_dark].append(_round(stack, number, link, file, is_dark=is_dark))
        operator.kill()
    return rounds[False], rounds[True]


def _rows(well: list[Round], ill: list[Round]) -> Iterator[Row]:
    """Yield what tells rounds while one cluster is dark from those while all answer."""
    rates = [[each.rate for each in rounds] for rounds in (well, ill)]
    notes = [
        f"median of {len(found)} rounds of {CLAIMS} claims in turn, from {min(found):.2f} to {max(found):.2f}"
        for found in rates
    ]
    middle_well, middle_ill = map(statistics.median, rates)
    yield Row("binds while all clusters answer", middle_well, "1/s", None, notes[0])
    slowest = f"{notes[1]}; limit: the slowest round of the row above"
    yield Row("binds while one answers nothing", middle_ill, "1/s", least(min(rates[0])), slowest)
    strays = sum(len(each.strays) for each in ill)
    unanswered = sum(len(each.others) for each in ill)
    assert unanswered, "nobody asked the dark cluster anything"
    note = (
        f"of {len(ill) * CLAIMS} binds; {unanswered} other requests to it had no answer meanwhile"
    )
    yield Row("requests of these binds to the dark one", strays, "requests", most(0), note)
    usual = max(each.longest_wait for each in well)
    held = [w for each in ill for w in behind(each.waits, each.others, usual_seconds=usual)]
    note = f"of those longer than {usual:.2f} s, the longest while all answer; from a claim's creation on"
    yield Row("waits that ended as a request to it did", len(held), "waits", most(0), note)
    longest = [statistics.median(each.longest_wait for each in rounds) for rounds in (well, ill)]
    note = "median of the rounds; between two requests of a bind, or its claim's creation and the first"
    yield Row("longest wait within a bind, all answer", longest[0], "s", None, note)
    yield Row(
        "longest wait within a bind, one is dark", longest[1], "s", beside(longest[0]), "likewise"
    )


def _round(stack: Stack, number: int, link: Relay, file: Path, *, is_dark: bool) -> Round:
    """Bind claims, with some for the other cluster in hand and it dark, if it is to be."""
    if is_dark:
        wanted = (f"dark-{number}-{i}" for i in range(DARK_CLAIMS))
        stack.apply("hub", *(claim(name, NAMESPACE, class_name="h200") for name in wanted))
        link.cut()
    made: dict[str, float] = {}
    begun = time.monotonic()
    for name in (f"run-{number}-{i:02d}" for i in range(CLAIMS)):
        stack.apply("hub", claim(name, NAMESPACE))
        made[name] = time.monotonic()
    bound = wait_for("all bound", lambda: _bound(stack, f"run-{number}-"), seconds=180)
    ended = time.monotonic()
    link.heal()
    stack.kubectl("hub", "delete", "gpuclaims", "-n", NAMESPACE, "--all", "--timeout=180s")
    _wait_free(stack, "west", CLAIMS * 8)
    _wait_free(stack, "east", DARK_CLAIMS * 8)
    # a request that had no answer is written down when it is over
    trace = [r for r in read_trace(file) if r.ended > begun and r.begun < ended]
    metas = [found["metadata"] for found in bound]
    binds = {meta["name"]: bind_of(meta["uid"], trace) for meta in metas}
    return Round(
        CLAIMS / (max(bind[-1].ended for bind in binds.values()) - begun),
        [wait for name, bind in binds.items() for wait in waits_of(made[name], bind)],
        [r for bind in binds.values() for r in bind if r.server == link.url],
        [r for r in trace if r.server == link.url],
    )


def _bound(stack: Stack, prefix: str) -> list[dict[str, Any]] | None:
    found = stack.get("hub", "gpuclaims", "-n", NAMESPACE)["items"]
    mine = [c for c in found if c["metadata"]["name"].startswith(prefix)]
    return mine if all(condition(c, "Bound") == "True" for c in mine) else None


def _wait_free(stack: Stack, name: str, gpus: int) -> None:
    def free() -> bool:
        found = stack.get("hub", "gpulease", name).get("status", {}).get("inventory", {})
        return bool(found.get("free") == gpus)

    wait_for(f"{name} free", free, seconds=120)


@contextmanager
def _through_a_relay(stack: Stack, name: str) -> Iterator[Relay]:
    """Lead the operator to a leased cluster through a relay."""
    copy = stack.folder / f"{name}.relayed.kubeconfig"
    with relayed(leased_kubeconfig(stack, name), copy) as link:
        stack.apply("hub", hub_secret(name, SYSTEM, copy.read_text()))
        yield link
