"""The examples for Argo CD and Flux agree with the chart, with the kinds, with each other and with what Sublet writes."""

import re
from typing import Any

import pytest
import yaml

from sublet.api.kinds import ALL_KINDS
from sublet.api.names import API_VERSION, GROUP, KUBECONFIG_KEY
from sublet.binder.access import secret_name
from sublet.binder.argocd import CLAIM_LABEL, NAMESPACE_ANNOTATION
from tests.builders.api import as_claim, claim
from tests.planes.binaries import ROOT

FOLDER = ROOT / "examples" / "gitops"
HEALTH = "resource.customizations.health."


def objects(name: str) -> list[dict[str, Any]]:
    """Return the objects of one file."""
    return list(yaml.safe_load_all((FOLDER / name).read_text()))


def one(name: str, kind: str) -> dict[str, Any]:
    """Return the spec of the only object of that kind in a file."""
    (found,) = (body for body in objects(name) if body["kind"] == kind)
    spec: dict[str, Any] = found["spec"]
    return spec


def health_checks() -> dict[str, str]:
    """Return kind -> the script that Argo CD runs."""
    (config,) = objects("argocd/health-checks.yaml")
    assert all(key.startswith(f"{HEALTH}{GROUP}_") for key in config["data"])
    return {key.rsplit("_", 1)[1]: script for key, script in config["data"].items()}


def test_every_kind_has_a_health_check_and_all_have_the_same():
    found = health_checks()

    assert set(found) == {kind.name for kind in ALL_KINDS}
    assert len(set(found.values())) == 1


def test_health_is_asked_in_kstatus_order():
    """Deletion, then the generation, then Reconciling, then Stalled, then Ready."""
    script = health_checks()["GpuClaim"]
    asked = ["deletionTimestamp", "observedGeneration", '"Reconciling"', '"Stalled"', '"Ready"']

    assert [script.index(word) for word in asked] == sorted(script.index(word) for word in asked)


def test_a_health_check_says_only_what_argo_cd_knows_and_uses_no_library():
    script = health_checks()["GpuClaim"]

    assert set(re.findall(r'status = "(\w+)"', script)) == {"Progressing", "Degraded", "Healthy"}
    assert not re.search(r"\b(string|table|math|os|io)\.", script)


@pytest.mark.parametrize(
    "path",
    [
        one("argocd/sublet.yaml", "Application")["source"]["path"],
        one("flux/sublet.yaml", "HelmRelease")["chart"]["spec"]["chart"],
    ],
)
def test_the_operator_comes_from_our_chart(path: str):
    assert (ROOT / path / "Chart.yaml").exists()


@pytest.mark.parametrize(
    "values",
    [
        one("argocd/sublet.yaml", "Application")["source"]["helm"]["valuesObject"],
        one("flux/sublet.yaml", "HelmRelease")["values"],
    ],
    ids=["argocd", "flux"],
)
def test_only_values_are_set_that_the_chart_has(values: dict[str, Any]):
    known = yaml.safe_load((ROOT / "charts" / "sublet" / "values.yaml").read_text())

    assert set(values) <= set(known)
    assert set(values["image"]) <= set(known["image"])


@pytest.mark.parametrize(
    "path",
    [
        one("argocd/claims.yaml", "Application")["source"]["path"],
        one("flux/claims.yaml", "Kustomization")["path"],
    ],
    ids=["argocd", "flux"],
)
def test_claims_come_from_an_overlay_that_is_there(path: str):
    overlay = yaml.safe_load((ROOT / path / "kustomization.yaml").read_text())

    assert all((ROOT / path / each).exists() for each in overlay["resources"])
    assert overlay["namespace"] == "acme-research"


def test_a_failed_helm_release_is_tried_again_and_never_taken_back():
    release = one("flux/sublet.yaml", "HelmRelease")

    assert release["install"]["strategy"]["name"] == "RetryOnFailure"
    assert release["upgrade"]["strategy"]["name"] == "RetryOnFailure"
    assert "remediation" not in release["install"] | release["upgrade"]


def test_what_people_change_at_a_claim_is_left_alone_by_argo_cd():
    application = one("argocd/claims.yaml", "Application")
    (ignored,) = application["ignoreDifferences"]
    spec = claim(schedule={"durationSeconds": 60}, suspended=False)["spec"]

    assert (ignored["group"], ignored["kind"]) == (GROUP, "GpuClaim")
    for pointer in ignored["jsonPointers"]:
        _, first, *rest = pointer.split("/")
        assert first == "spec"
        value = spec
        for part in rest:
            value = value[part]
    assert "RespectIgnoreDifferences=true" in application["syncPolicy"]["syncOptions"]
    # a PUT of what is in Git would take our annotation away, which the hub refuses
    assert not any("Replace" in x for x in application["syncPolicy"]["syncOptions"])


def test_flux_waits_for_gpus_and_deletes_no_claim():
    kustomization = one("flux/claims.yaml", "Kustomization")
    (check,) = kustomization["healthChecks"]
    (expressions,) = kustomization["healthCheckExprs"]

    assert (check["apiVersion"], check["kind"], check["name"]) == (API_VERSION, "GpuClaim", "train")
    assert (expressions["apiVersion"], expressions["kind"]) == (API_VERSION, "GpuClaim")
    assert "'Bound'" in expressions["current"]
    assert kustomization["deletionPolicy"] == "Orphan"


def test_flux_deploys_with_the_secret_that_sublet_writes():
    kustomization = one("flux/into-the-claim.yaml", "Kustomization")
    (body,) = objects("flux/into-the-claim.yaml")
    secret = kustomization["kubeConfig"]["secretRef"]
    train = as_claim(claim("train", body["metadata"]["namespace"]))

    assert secret == {"name": secret_name(train)}  # without a key Flux reads `value`
    assert KUBECONFIG_KEY == "value"
    assert re.fullmatch(r"sublet-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}-1", kustomization["targetNamespace"])  # fmt: skip


def test_argo_cd_finds_the_claims_and_their_namespaces_by_what_sublet_writes():
    application_set = one("argocd/into-the-claims.yaml", "ApplicationSet")
    (generator,) = application_set["generators"]
    destination = application_set["template"]["spec"]["destination"]

    assert generator["clusters"]["selector"]["matchExpressions"][0]["key"] == CLAIM_LABEL
    assert f'"{NAMESPACE_ANNOTATION}"' in destination["namespace"]
    assert "server" not in destination
