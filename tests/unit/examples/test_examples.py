"""Everything under examples/ is YAML that the CRDs take, and no pipeline ends a claim of it by accident."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sublet.api.names import GROUP
from tests.builders.crds import faults_of
from tests.planes.binaries import ROOT

FILES = sorted((ROOT / "examples").rglob("*.yaml"))
KEPT = {
    "argocd.argoproj.io/sync-options": "Prune=false,Delete=false",
    "helm.sh/resource-policy": "keep",
    "kustomize.toolkit.fluxcd.io/prune": "disabled",
}


def ours() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield where each of our objects stands, and the object."""
    for path in FILES:
        for body in yaml.safe_load_all(path.read_text()):
            if str(body["apiVersion"]).startswith(f"{GROUP}/"):
                name = f"{path.relative_to(ROOT)}: {body['kind']} {body['metadata']['name']}"
                yield name, body


OURS = dict(ours())


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_file_says_first_what_it_is_for_and_holds_objects(path: Path):
    text = path.read_text()

    assert text.startswith("# ")
    assert all(body["apiVersion"] and body["kind"] for body in yaml.safe_load_all(text))


@pytest.mark.parametrize("name", OURS)
def test_every_object_is_as_its_crd_wants_it(name: str):
    assert faults_of(OURS[name]) == []


@pytest.mark.parametrize("name", [n for n, body in OURS.items() if body["kind"] == "GpuClaim"])
def test_no_pipeline_ends_a_claim_by_accident(name: str):
    annotations = OURS[name]["metadata"]["annotations"]

    assert {key: annotations.get(key) for key in KEPT} == KEPT


def test_a_field_that_isnt_in_the_crd_is_found():
    """The check itself: pydantic ignores what it doesn't know, the API server doesn't."""
    claim = next(body for body in OURS.values() if body["kind"] == "GpuClaim")
    wrong = {**claim, "spec": {**claim["spec"], "topology": {"scop": "Node"}}}

    assert faults_of(wrong) == ["GpuClaim.spec.topology.scop isn't in the CRD"]
