"""The Kustomize base and overlay are built by kubectl itself."""

import subprocess

import pytest
import yaml

from tests.builders.crds import faults_of
from tests.planes.binaries import ROOT, find

FOLDER = ROOT / "examples" / "gitops"


@pytest.mark.parametrize(("folder", "gpus"), [("base", 8), ("acme-research", 16)])
def test_a_folder_is_built_into_one_claim_that_is_kept(folder: str, gpus: int):
    built = subprocess.run(
        [find("kubectl"), "kustomize", FOLDER / folder], capture_output=True, text=True, check=True
    )
    (claim,) = yaml.safe_load_all(built.stdout)

    assert faults_of(claim) == []
    assert claim["spec"]["gpus"] == gpus
    assert claim["metadata"]["annotations"]["kustomize.toolkit.fluxcd.io/prune"] == "disabled"
    assert claim["metadata"].get("namespace") == ("acme-research" if folder != "base" else None)
