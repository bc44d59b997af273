"""The chart's life on a real API server with a claim all along: installed, upgraded, rolled back, uninstalled, installed again.

There is no kubelet here: the operator runs as a process, as the ServiceAccount that the chart makes and with nothing else. It
is the present one, which asks for the present kinds, so that under the earlier chart the claim still waits.
"""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.builders.api import claim, gpu_class, lease, tenant
from tests.builders.nodes import gpu_node
from tests.harness.helm import CHART, helm
from tests.harness.process import OperatorProcess
from tests.harness.stack import (
    NAMESPACE,
    Stack,
    condition,
    wait_until_served,
    write_operator_kubeconfig,
)
from tests.harness.waiting import wait_for
from tests.integration.chart.earlier import EARLIER
from tests.integration.cli.program import Program
from tests.planes import planes
from tests.planes.binaries import ROOT

pytestmark = [pytest.mark.planes, pytest.mark.slow, pytest.mark.timeout(400)]

ACME = "acme"


class Release:
    """The release `sublet` on a hub that had never heard of it, and an operator that runs with its rights."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._operator = OperatorProcess(stack)

    def helm(self, verb: str, *args: str) -> str:
        """Run helm against the hub."""
        config = str(self.stack.running.kubeconfig("hub"))
        return helm(verb, "sublet", *args, "--namespace", NAMESPACE, "--kubeconfig", config)

    def run_operator(self) -> None:
        """Start the operator anew, with a token of the chart's account."""
        self._operator.kill()
        token = self.stack.kubectl("hub", "-n", NAMESPACE, "create", "token", "sublet")
        write_operator_kubeconfig(self.stack, token.strip())
        self._operator.start()

    def works(self, name: str) -> None:
        """See that a new claim is bound and given back."""
        self.stack.apply("hub", claim(name, ACME))
        wait_for(f"{name} is bound", lambda: self.stack.is_bound(ACME, name))
        self.stack.kubectl("hub", "-n", ACME, "delete", "gpuclaim", name, "--timeout=60s")

    def held(self) -> tuple[Any, Any]:
        """Return what the claim `train` has, and what its cluster's nodes say."""
        found = self.stack.is_bound(ACME, "train")
        assert found is not None
        placed = [(p["nodeUID"], p["gpus"]) for p in found["status"]["allocation"]["placements"]]
        return (found["metadata"]["uid"], placed), self.stack.books("west")

    def stop_operator(self) -> None:
        """Stop it for good."""
        self._operator.kill()


@pytest.fixture
def release() -> Iterator[Release]:
    stack = Stack(planes.start(f"helm-{os.getpid()}", ["hub+bare", "west"], keep=False))
    yield Release(stack)
    stack.stop()


def test_a_claim_lives_through_the_charts_whole_life(release: Release):
    stack = release.stack
    release.helm("install", str(EARLIER[-1]), "--create-namespace")
    wait_until_served(stack)
    stack.apply("hub", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ACME}})
    stack.apply("hub", gpu_class(), tenant(), claim("train", ACME))
    uid = stack.get("hub", "gpuclaim", "-n", ACME, "train")["metadata"]["uid"]

    release.helm("upgrade", str(CHART))
    Program(stack).onboard()
    stack.apply("west", gpu_node("n0"), gpu_node("n1"))
    release.run_operator()
    stack.apply("hub", lease("west", committed=16))
    wait_for("train is bound", lambda: stack.is_bound(ACME, "train"))
    held = release.held()
    assert held[0][0] == uid

    secret = ("secret", "generic", "sublet-database", "--from-literal=url=postgresql://u:p@h/d")
    stack.kubectl("hub", "-n", NAMESPACE, "create", *secret)
    # Helm takes no replicas over from kubectl: the page's way to stop the operator must leave none behind
    stack.kubectl("hub", *_stopping(), "--timeout=60s")
    database = ("ledger.store=postgresql", "ledger.databaseUrlSecret.name=sublet-database")
    release.helm("upgrade", str(CHART), *(x for each in database for x in ("--set", each)))
    release.run_operator()
    assert _strategy(stack) == "RollingUpdate"
    assert release.held() == held
    release.works("after-upgrade")

    stack.kubectl("hub", "-n", NAMESPACE, "scale", "deploy/sublet", "--replicas=0")
    release.helm("rollback", "--force-conflicts")
    release.run_operator()
    assert _strategy(stack) == "Recreate"
    assert release.held() == held
    release.works("after-rollback")

    release.helm("uninstall")
    release.stop_operator()
    assert stack.get("hub", "deployment", "-n", NAMESPACE, "sublet") is None
    assert release.held() == held

    release.helm("install", str(CHART))
    Program(stack).onboard()
    release.run_operator()
    wait_for("the lease is ready", lambda: _is_ready(stack))
    assert release.held() == held
    release.works("after-all")


def _stopping() -> list[str]:
    """Return how docs/install.md stops the operator before the ledger moves."""
    page = (ROOT / "docs" / "install.md").read_text()
    (line,) = (
        x for x in page.splitlines() if x.startswith("kubectl") and "deployment sublet " in x
    )
    return line.split()[1:]


def _strategy(stack: Stack) -> str:
    return str(
        stack.get("hub", "deployment", "-n", NAMESPACE, "sublet")["spec"]["strategy"]["type"]
    )


def _is_ready(stack: Stack) -> bool:
    return condition(stack.get("hub", "gpulease", "west"), "Ready") == "True"
