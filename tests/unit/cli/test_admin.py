"""Which pod the way to the operator's admin endpoint leads to, how long it is waited for, and what is said then."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from sublet.cli import admin
from sublet.cli.admin import fetch, forwarded
from sublet.cli.connect import Cluster
from sublet.cli.problems import Problem
from sublet.kube.errors import BadAnswer
from tests.harness.fake_api import FakeApi, answering, fake_api

_LEASE = "/apis/coordination.k8s.io/v1/namespaces/sublet-system/leases/sublet"
_PODS = "/api/v1/namespaces/sublet-system/pods"
VERIFY, ENTRIES = "/admin/v1/ledger/verify", "/admin/v1/ledger/entries"


@pytest.fixture
async def late() -> AsyncIterator[str]:
    """An endpoint that answers once its reader has waited for longer than a short answer takes."""

    async def answer(_: web.Request) -> web.Response:
        await asyncio.sleep(0.3)
        return web.json_response({"entries": 7})

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_a_long_read_of_the_ledger_is_waited_for(late: str, monkeypatch: Any):
    monkeypatch.setattr(admin, "_ANSWER_SECONDS", 0.05)

    assert await fetch(late, VERIFY, {}) == {"entries": 7}


@pytest.mark.parametrize(
    ("path", "limit"), [(VERIFY, "_LEDGER_SECONDS"), (ENTRIES, "_ANSWER_SECONDS")]
)
async def test_an_endpoint_that_is_silent_for_too_long_is_not_said_to_be_away(
    late: str, path: str, limit: str, monkeypatch: Any
):
    monkeypatch.setattr(admin, limit, 0.05)

    with pytest.raises(Problem, match=r"hasn't answered in 0\.05 seconds; .*--database"):
        await fetch(late, path, {})


async def test_an_endpoint_that_isnt_there_is_away():
    with pytest.raises(Problem, match=r"doesn't answer .*; is the operator running"):
        await fetch("http://127.0.0.1:1", VERIFY, {})


@pytest.mark.parametrize("given", ["127.0.0.1:8081", "localhost", "ftp://x", "http://", "http://x:99999", "http://[::1"])  # fmt: skip
async def test_what_is_no_url_is_not_taken_for_an_endpoint_that_is_away(given: str):
    with pytest.raises(Problem, match=r"--admin: .* is no address; give it as http://HOST:PORT"):
        await fetch(given, VERIFY, {})


class Operators:
    """A hub with the operator's Lease and pods, and a kubectl that forwards to whatever it is told."""

    def __init__(self, hub: FakeApi, folder: Path) -> None:
        self._hub, self._said = hub, folder / "said"
        program = folder / "kubectl"
        program.write_text(
            f"#!/bin/sh\nprintf '%s ' \"$@\" > {self._said}\necho 'Forwarding from 127.0.0.1:7 -> 8081'\n"
        )
        program.chmod(0o755)

    def held_by(self, holder: str) -> None:
        """Let somebody hold the Lease."""
        self._hub.objects[_LEASE] = {"spec": {"holderIdentity": holder}}

    def runs(self, *names: str, ending: tuple[str, ...] = ()) -> None:
        """Let these pods run, and those be about to end."""
        pods = [{"metadata": {"name": name}} for name in names]
        pods += [
            {"metadata": {"name": n, "deletionTimestamp": "2026-11-22T12:00:00Z"}} for n in ending
        ]
        self._hub.objects[_PODS] = {"metadata": {}, "items": pods}
        self._hub.objects |= {f"{_PODS}/{pod['metadata']['name']}": pod for pod in pods}

    async def asked_pod(self) -> str:
        """Return the pod that a command's port-forward leads to."""
        async with (
            Cluster(self._hub.endpoint, "the hub") as hub,
            forwarded(hub, "sublet-system", None),
        ):
            return self._said.read_text().split()[3]

    def looked_for(self) -> dict[str, str]:
        """Return by what the pods were chosen."""
        return next(dict(r.query) for r in self._hub.requests if r.path == _PODS)


@pytest.fixture
async def operators(tmp_path: Path, monkeypatch: Any) -> AsyncIterator[Operators]:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    async with fake_api() as hub:
        hub.objects[_PODS] = {"metadata": {}, "items": []}
        yield Operators(hub, tmp_path)


async def test_the_pod_that_holds_the_lease_is_asked(operators: Operators):
    operators.held_by("sublet-b_1")
    operators.runs("sublet-a", "sublet-b")

    assert await operators.asked_pod() == "pod/sublet-b"


async def test_where_no_lease_is_written_the_pod_that_runs_is_asked(operators: Operators):
    operators.runs("sublet-a", ending=("sublet-old",))

    assert await operators.asked_pod() == "pod/sublet-a"
    assert operators.looked_for() == {"labelSelector": "app.kubernetes.io/name=sublet", "fieldSelector": "status.phase=Running"}  # fmt: skip


@pytest.mark.parametrize("holder", ["gone-pod_1", ""], ids=["gone", "given up"])
async def test_where_an_old_lease_names_nobody_who_is_there_the_pod_that_runs_is_asked(
    operators: Operators, holder: str
):
    operators.held_by(holder)
    operators.runs("sublet-a")

    assert await operators.asked_pod() == "pod/sublet-a"


async def test_who_may_not_look_at_pods_is_led_to_the_leases_holder(operators: Operators):
    operators.held_by("sublet-b_1")
    operators._hub.objects[f"{_PODS}/sublet-b"] = answering(403, "Forbidden", "pods is forbidden")

    assert await operators.asked_pod() == "pod/sublet-b"


async def test_of_several_pods_none_is_chosen(operators: Operators):
    operators.runs("sublet-b", "sublet-a")

    with pytest.raises(Problem) as said:
        await operators.asked_pod()
    assert str(said.value) == (
        "nobody holds the operator's Lease, and its pods sublet-a, sublet-b run in namespace sublet-system: with "
        "SUBLET_LEADER_ELECTION=false only one may run; forward a port of the right one yourself and give --admin"
    )


@pytest.mark.parametrize("holder", ["gone-pod_1", ""], ids=["gone", "given up"])
async def test_between_two_leaders_of_several_pods_it_is_to_be_asked_again(
    operators: Operators, holder: str
):
    operators.held_by(holder)
    operators.runs("sublet-b", "sublet-a")

    with pytest.raises(Problem) as said:
        await operators.asked_pod()
    assert str(said.value) == (
        "no operator leads now (its pods sublet-a, sublet-b run); try again in a moment"
    )


async def test_a_hub_that_answers_no_list_of_pods_is_said(operators: Operators):
    operators._hub.objects[_PODS] = {}

    with pytest.raises(BadAnswer, match="it is no list"):
        await operators.asked_pod()


@pytest.mark.parametrize(
    ("holder", "words"),
    [
        (None, "no operator has run in namespace sublet-system of the hub; check --operator-namespace"),
        ("", "no operator holds the Lease now; see kubectl -n sublet-system get pods"),
    ],
)  # fmt: skip
async def test_where_no_operator_runs_it_is_said(
    operators: Operators, holder: str | None, words: str
):
    if holder is not None:
        operators.held_by(holder)

    with pytest.raises(Problem, match=words):
        await operators.asked_pod()
