"""docs/install.md against the chart: values that it shows are taken, words that it quotes are Helm's, manifests in it are safe."""

import re
from pathlib import Path
from typing import Any

import yaml

from tests.harness.helm import CHART, helm, refusal
from tests.planes.binaries import ROOT

PAGE = (ROOT / "docs" / "install.md").read_text()


def blocks() -> list[dict[str, Any]]:
    """Return what the page shows as YAML."""
    found = re.findall(r"^```yaml\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    return [yaml.safe_load(text) for text in found]


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


def test_the_job_that_moves_the_ledger_satisfies_pod_security_restricted():
    (job,) = (x for x in blocks() if "kind" in x)
    spec = job["spec"]["template"]["spec"]
    (container,) = spec["containers"]

    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    kinds = {kind for volume in spec["volumes"] for kind in volume.keys() - {"name"}}
    assert kinds == {"persistentVolumeClaim", "emptyDir"}
