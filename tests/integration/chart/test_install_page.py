"""docs/install.md against the chart: values that it shows are taken, words that it quotes are Helm's, manifests in it are safe.

So is the pod of docs/ledger.md, and it finds the ledger where the operator has it.
"""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.harness.helm import CHART, helm, refusal, rendered
from tests.planes.binaries import ROOT

PAGE = (ROOT / "docs" / "install.md").read_text()
LEDGER = (ROOT / "docs" / "ledger.md").read_text()


def blocks(page: str = PAGE) -> list[dict[str, Any]]:
    """Return what a page shows as YAML."""
    found = re.findall(r"^```yaml\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    return [yaml.safe_load(text) for text in found]


def pod(name: str) -> dict[str, Any]:
    """Return the spec of a pod that a page shows, or of a job's."""
    (found,) = (x for x in blocks() + blocks(LEDGER) if x.get("metadata") == {"name": name})
    spec: dict[str, Any] = found["spec"].get("template", found)["spec"]
    return spec


def test_values_that_it_shows_are_taken(tmp_path: Path):
    values = [x for x in blocks() if "kind" not in x]

    assert len(values) == 3
    for number, shown in enumerate(values):
        path = tmp_path / f"{number}.yaml"
        path.write_text(yaml.safe_dump(shown))
        assert helm("template", "sublet", str(CHART), "-f", str(path))


def test_a_refusal_is_quoted_as_helm_says_it():
    (quoted,) = re.findall(r"--set replicas=2\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)

    assert quoted.strip() == refusal("replicas=2").strip()


@pytest.mark.parametrize("name", ["move-ledger", "ledger-shell"])
def test_a_pod_that_gets_at_the_ledger_satisfies_pod_security_restricted(name: str):
    spec = pod(name)
    (container,) = spec["containers"]

    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    kinds = {kind for volume in spec["volumes"] for kind in volume.keys() - {"name"}}
    assert kinds == {"persistentVolumeClaim", "emptyDir"}


def test_the_shell_finds_the_ledger_where_the_operator_has_it():
    (made,) = (x for x in rendered() if x["kind"] == "Deployment")
    operator, shell = made["spec"]["template"]["spec"], pod("ledger-shell")
    wanted = {"name": "SUBLET_DATABASE_URL", "value": "sqlite:////var/lib/sublet/ledger.sqlite"}

    for spec in (operator, shell):
        (container,) = spec["containers"]
        assert wanted in container["env"]
        assert {"name": "ledger", "mountPath": "/var/lib/sublet"} in container["volumeMounts"]
        assert spec["volumes"][0]["persistentVolumeClaim"] == {"claimName": "sublet-ledger"}
        assert spec["securityContext"]["runAsUser"] == 65532
        assert spec["securityContext"]["fsGroup"] == 65532
