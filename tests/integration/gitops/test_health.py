"""What Argo CD's script and Flux's expressions say of an object in every state, run by interpreters of Lua and CEL."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.builders.states import CURRENT, FAILED, IN_PROGRESS, TERMINATING, State, states
from tests.harness.apart import find
from tests.planes.binaries import ROOT

FOLDER = ROOT / "examples" / "gitops"
STATES = {state.name: state for state in states()}
IN_ARGO = {
    CURRENT: "Healthy",
    IN_PROGRESS: "Progressing",
    FAILED: "Degraded",
    TERMINATING: "Progressing",
}


@pytest.fixture(scope="module")
def judged() -> dict[str, Any]:
    """Return state -> what both say of it."""
    checks = yaml.safe_load((FOLDER / "argocd" / "health-checks.yaml").read_text())["data"]
    flux = yaml.safe_load((FOLDER / "flux" / "claims.yaml").read_text())["spec"]
    (expressions,) = flux["healthCheckExprs"]
    asked = {
        "lua": checks["resource.customizations.health.sublet.dev_GpuClaim"],
        "cel": {name: expressions[name] for name in ("failed", "current")},
        "objects": [state.body for state in STATES.values()],
    }
    judge = Path(__file__).with_name("judge.py")
    done = subprocess.run(
        [find("gitops", "python"), judge],
        input=json.dumps(asked), capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return dict(zip(STATES, json.loads(done.stdout), strict=True))


@pytest.mark.parametrize("name", STATES)
def test_argo_cd_says_of_each_state_what_kstatus_says(judged: dict[str, Any], name: str):
    said = judged[name]["argo"]

    assert said["status"] == IN_ARGO[STATES[name].kstatus]
    assert said["message"]


def _has_gpus(state: State) -> bool:
    conditions = {c["type"]: c["status"] for c in state.body["status"]["conditions"]}
    return conditions.get("Bound") == "True"


@pytest.mark.parametrize("name", [n for n, s in STATES.items() if s.body["kind"] == "GpuClaim"])
def test_flux_goes_on_with_gpus_alone_and_fails_where_there_will_be_none(
    judged: dict[str, Any], name: str
):
    said, state = judged[name]["flux"], STATES[name]
    conditions = {c["type"]: c["status"] for c in state.body["status"]["conditions"]}

    assert said["current"] is _has_gpus(state)
    hopeless = "True" in (conditions.get("Stalled"), conditions.get("Ended"))
    assert said["failed"] is hopeless
