"""The stage on which docs/cli.md is played: a small hub with a pool, a ledger of a month, and somebody at a terminal.

`python -m tests.harness.cli_stage` plays every command of the page again and writes down what it prints; a test does the
same and compares. So what the page shows was printed by the program.
"""

import base64
import os
import re
import shlex
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import yaml
from kubernetes.aio.config import kube_config
from typer.testing import CliRunner

from sublet.api.kinds import RELEASE_FINALIZER
from sublet.api.times import Millis, format_instant, parse_instant
from sublet.book.plan import plan
from sublet.cli.main import app
from sublet.clock import SystemClock
from sublet.record.passes import Recorded, lines_of, write_pass
from tests.builders.api import as_claim, as_lease, gpu_class, lease, statement, uid_of
from tests.builders.fleet import inventory, nodes, view
from tests.builders.sold_month import database
from tests.builders.stored import bound_claim
from tests.harness.small_hub import SmallHub, small_hub, write_kubeconfig
from tests.harness.stage_book import DAY_MS, NOON, said_of, waits
from tests.planes.binaries import ROOT

PAGE: Final = ROOT / "docs" / "cli.md"
_BLOCK: Final = re.compile(r"```console\n(.*?)```", re.DOTALL)
ADMIN: Final = "http://127.0.0.1:8081"
"""The operator's endpoint as the page calls it; on the stage the hub answers for it."""
Json = dict[str, Any]


class Stage:
    """Plays commands, one after the other."""

    def __init__(self, folder: Path, hub: SmallHub) -> None:
        self.hub = hub
        self._environment = {"KUBECONFIG": str(folder / "kubeconfig"), "COLUMNS": "88", "TERMINAL_WIDTH": "88"}  # fmt: skip

    def play(self, line: str) -> str:
        """Return what a command line prints."""
        program, *arguments = shlex.split(line.replace(ADMIN, self.hub.url))
        assert program == "sublet", line
        of_ledger = arguments[0] in ("ledger", "margin", "export")
        database = "sqlite:///ledger.sqlite" if of_ledger else None
        environment = {**self._environment, "SUBLET_DATABASE_URL": database}
        done = CliRunner().invoke(app, arguments, prog_name="sublet", env=environment)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.output


@contextmanager
def stage() -> Iterator[Stage]:
    """Set the stage in a folder of its own, at noon."""
    before = Path.cwd()
    with small_hub() as hub, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _fill(hub)
        _files(folder)
        path = str(write_kubeconfig(hub, folder))
        os.chdir(folder)
        try:
            with (
                patch.object(SystemClock, "now_ms", lambda _: NOON),
                # the library reads KUBECONFIG when it is imported
                patch.object(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", path),
            ):
                yield Stage(folder, hub)
        finally:
            os.chdir(before)


def played(page: str) -> str:
    """Return a page with what its commands print now."""
    with stage() as on:

        def again(found: re.Match[str]) -> str:
            lines = [line for line in found[1].splitlines() if line.startswith("$ ")]
            return "```console\n" + "".join(f"{x}\n{on.play(x[2:])}" for x in lines) + "```"

        return _BLOCK.sub(again, page)


def _fill(hub: SmallHub) -> None:
    hub.put(_counted("west", (16, 16, 8, 0, 8), [(5, 16, 16, 0), (12, 48, 48, 32)]))
    hub.put(_counted("east", (8, 8, 8, 0, 0), [(20, 8, 8, 0)]))
    hub.put(gpu_class())
    hub.put(_reachable(bound_claim()))
    hub.put(waits())
    hub.put(_bill())
    hub.operator = _operator
    empty: dict[str, Any] = {"metadata": {}, "items": []}
    hub.objects["/api/v1/secrets"] = hub.objects["/api/v1/events"] = empty
    hub.objects["/api/v1/namespaces/kube-system"] = {"metadata": {"name": "kube-system", "uid": uid_of("hub")}}  # fmt: skip
    for name in ("acme", "globex"):
        hub.objects[f"/api/v1/namespaces/{name}"] = {"metadata": {"name": name}}
    hub.objects["/admin/v1/usage"] = _usage()
    hub.objects["/admin/v1/ledger/open"] = {"claims": {}}
    _put_access(hub)


def _counted(name: str, now: tuple[int, ...], steps: list[tuple[int, int, int, int]]) -> Json:
    """Return a lease with what the operator says of it; steps: (day, committed, sellable, reserved)."""
    names = ("committed", "delivered", "bound", "reserved", "free")
    coming = [
        {"time": format_instant(Millis(NOON + day * DAY_MS)), "committed": c, "sellable": s, "reserved": r, "free": s - r}
        for day, c, s, r in steps
    ]  # fmt: skip
    ready = {"type": "Ready", "status": "True", "reason": "Selling", "message": "the lease can be sold", "lastTransitionTime": "2026-11-20T08:00:00Z"}  # fmt: skip
    counts = {**dict(zip(names, now, strict=True)), "healthy": now[1]}
    body = lease(name, committed=now[0])
    meta = {**body["metadata"], "uid": as_lease(body).metadata.uid, "creationTimestamp": "2026-11-01T08:00:00Z"}  # fmt: skip
    return {**body, "metadata": meta, "status": {"inventory": counts, "outlook": coming, "conditions": [ready]}}  # fmt: skip


def _reachable(body: Json) -> Json:
    """Return a bound claim with its way in, and put the Secret beside it."""
    uid = uid_of("acme/train")
    space = f"sublet-{uid}-1"
    access = {
        "secretName": "train-kubeconfig",
        "clusters": [{"alias": "west", "namespace": space, "expirationTime": "2026-11-22T13:00:00Z"}],
    }  # fmt: skip
    meta = {**body["metadata"], "uid": uid, "creationTimestamp": "2026-11-22T09:30:00Z", "finalizers": [RELEASE_FINALIZER]}  # fmt: skip
    return {**body, "metadata": meta, "status": {**body["status"], "access": access}}


def _bill() -> Json:
    lines = [{"category": "Use", "className": "h100", "gpuMilliseconds": 57_600_000, "gpuHours": "16.000000", "unitPrice": "3.99", "listAmount": "63.84", "amount": "63.84"}]  # fmt: skip
    status = {"lines": lines, "total": "63.84", "asOfTime": "2026-11-22T12:00:00Z", "ledgerSeq": 12, "ledgerHead": "5f70" * 16}  # fmt: skip
    return {**statement(), "status": status}


def _usage() -> Json:
    item = {"name": "acme/train", "uid": uid_of("acme/train"), "kind": "bound", "gpuMilliseconds": 57_600_000, "charge": "63.84", "exactCharge": "63.84", "currency": "USD"}  # fmt: skip
    return {"by": "claim", "from": "2026-11-01T00:00:00Z", "to": "2026-11-22T12:00:00Z", "items": [item]}  # fmt: skip


def _operator(found: Json) -> None:
    """Answer quotes, bind what is new, and grant what is asked for later."""
    spec, status = found["spec"], found["status"]
    held = status.get("allocation")
    status["observedGeneration"] = found["metadata"]["generation"]
    if held is not None:
        ends = parse_instant(held["decidedTime"]) + spec["schedule"]["durationSeconds"] * 1_000
        held["untilTime"] = format_instant(Millis(ends))
        return
    found["metadata"] |= {
        "creationTimestamp": format_instant(NOON),
        "finalizers": [RELEASE_FINALIZER],
    }
    if spec.get("suspended"):
        status |= said_of(found)
        return
    seconds = spec["schedule"]["durationSeconds"]
    ends, noon = format_instant(Millis(NOON + seconds * 1_000)), format_instant(NOON)
    status |= bound_claim(found["metadata"]["name"], until=ends, seconds=seconds)["status"]
    status["allocation"] |= {"decidedTime": noon, "boundTime": noon}


def _files(folder: Path) -> None:
    database(folder)
    for name, text in (
        ("nodes.csv", "sn,cpu_milli,memory_mib,gpu,model\nn-0,8000,1024,8,H100\nn-1,8000,1024,8,H100\n"),
        ("pods.csv", "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec\na,1000,1,4,1000,\nb,1000,1,1,1000,\n"),
    ):  # fmt: skip
        (folder / name).write_text(text)
    west = as_lease()
    seen = view([as_claim()], [(west, inventory(west, nodes(west, 2)))])
    (folder / "pass.json").write_text(write_pass(Recorded(seen, lines_of(plan(seen)))) + "\n")


def _put_access(hub: SmallHub) -> None:
    """Put the Secret with the claim's kubeconfig on the hub."""
    config = {
        "apiVersion": "v1", "kind": "Config", "current-context": "west",
        "clusters": [{"name": "west", "cluster": {"server": "https://west.example:6443", "certificate-authority-data": "LS0t"}}],
        "users": [{"name": "west", "user": {"token": "eyJ0"}}],
        "contexts": [{"name": "west", "context": {"cluster": "west", "user": "west", "namespace": f"sublet-{uid_of('acme/train')}-1"}}],
    }  # fmt: skip
    data = base64.b64encode(yaml.safe_dump(config).encode()).decode()
    hub.objects["/api/v1/namespaces/acme/secrets/train-kubeconfig"] = {"data": {"value": data}}


if __name__ == "__main__":
    PAGE.write_text(played(PAGE.read_text()))
