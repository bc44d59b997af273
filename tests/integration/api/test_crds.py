"""The CRDs on a real API server: what is accepted, what is refused and with which words, what is defaulted."""

import copy
import subprocess
from typing import Any

import pytest
import yaml

from tests.builders.api import claim, gpu_class, lease, tenant
from tests.harness.stack import Stack, condition
from tests.planes.binaries import ROOT, find

pytestmark = pytest.mark.planes


@pytest.fixture(scope="module")
def hub(stack: Stack) -> Stack:
    stack.apply("hub", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "acme"}})
    return stack


def change(body: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return a copy with one field of spec set, or taken out where value is None."""
    body = copy.deepcopy(body)
    *parents, last = path.split(".")
    at = body["spec"]
    for part in parents:
        at = at[int(part)] if part.isdigit() else at.setdefault(part, {})
    if value is None:
        del at[last]
    else:
        at[last] = value
    return body


def dry_run(hub: Stack, body: dict[str, Any]) -> str:
    arguments = ("create", "--dry-run=server", "--validate=strict", "-f", "-")
    return hub.kubectl("hub", *arguments, given=yaml.safe_dump(body), check=False)


@pytest.mark.parametrize("body", [claim(), lease(), gpu_class(), tenant()], ids=lambda b: b["kind"])
def test_what_the_builders_make_is_accepted(hub: Stack, body):
    assert "created (server dry run)" in dry_run(hub, body)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (change(gpu_class(), "prices.0.perGpuHour", "abc"), "spec.prices[0].perGpuHour in body should match"),
        (change(gpu_class(), "prices.0.perGpuHour", 3.99), "must be of type string"),
        (change(gpu_class(), "currency", "usd"), "spec.currency"),
        (change(claim(), "gpus", 0), "greater than or equal to 1"),
        (change(claim(), "gpus", 40_000), "less than or equal to 32768"),
        (change(claim(), "gpusPerNode", 3), "gpus must be a multiple of gpusPerNode"),
        (change(claim(), "tags", {"a b": "x"}), "a tag's name must be"),
        (change(claim(), "tags", {"a": "x" * 200}), "Too long"),
        (change(claim(), "className", "Bad_Name"), "spec.className"),
        (change(claim(), "gpu", 8), 'unknown field "spec.gpu"'),
        (change(claim(), "startTime", "2027-01-01T00:00:00Z"), "unknown field"),
        (change(lease(), "term.endTime", "2025-01-01T00:00:00Z"), "endTime must be later than startTime"),
        (change(lease(), "clusterRef", {}), "spec.clusterRef.kubeconfigSecretRef: Required value"),
        (change(lease(), "tenantAlias", "West/1"), "spec.tenantAlias"),
        (change(lease(), "term.startTime", "tomorrow"), "must be of type date-time"),
        (change(lease(), "nodeSharing", "Sometimes"), "Unsupported value"),
        (change(tenant(), "namespaces", ["a", "a"]), "Duplicate value"),
        (change(tenant(), "namespaces", []), "should have at least 1 items"),
        (change(lease(), "prices", None), "spec.prices: Required value"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_with_words_that_help(hub: Stack, body, words):
    assert words in dry_run(hub, body)


def test_a_new_object_never_looks_ready(hub: Stack):
    hub.apply("hub", claim("fresh"))

    fresh = hub.claim("acme", "fresh")
    assert fresh is not None
    assert (condition(fresh, "Ready"), condition(fresh, "Ready", "reason")) == (
        "Unknown",
        "WaitingForOperator",
    )


@pytest.mark.parametrize(
    ("first", "path", "value", "words"),
    [
        (gpu_class("fixed"), "prices.0.perGpuHour", "1.00", "prices are append-only"),
        (gpu_class("fixed"), "currency", "EUR", "currency can't change"),
        (lease("fixed"), "product", "NVIDIA-B200", "product can't change"),
        (lease("fixed"), "tenantAlias", "other", "tenantAlias can't change"),
        (lease("fixed"), "term.startTime", "2026-02-01T00:00:00Z", "startTime can't change"),
    ],
)
def test_what_bills_rest_on_cant_be_changed(hub: Stack, first, path, value, words):
    hub.kubectl("hub", "apply", "--server-side", "-f", "-", given=yaml.safe_dump(first))

    changed = yaml.safe_dump(change(first, path, value))
    said = hub.kubectl(
        "hub", "replace", "-f", "-", given=_with_version(hub, first, changed), check=False
    )

    assert words in said


def _with_version(hub: Stack, first: dict[str, Any], text: str) -> str:
    body: dict[str, Any] = yaml.safe_load(text)
    live = hub.get("hub", first["kind"].lower(), first["metadata"]["name"])
    body["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"]
    return yaml.safe_dump(body)


@pytest.mark.parametrize(
    ("path", "value", "frozen"),
    [("gpus", 16, True), ("className", "other", True), ("placement", {"regions": ["r9"]}, True),
     ("tags", {"a": "b"}, False), ("suspended", True, False), ("schedule", {"durationSeconds": 60}, False)],
)  # fmt: skip
def test_a_reserved_claim_keeps_what_it_was_reserved_for(hub: Stack, path, value, frozen):
    hub.apply("hub", claim("held"))
    _set_condition(hub, "held", "Reserved")

    said = hub.kubectl(
        "hub",
        "apply",
        "--server-side",
        "-f",
        "-",
        given=yaml.safe_dump(change(claim("held"), path, value)),
        check=False,
    )

    assert ("is fixed while the claim is reserved" in said) is frozen


def test_an_ended_claim_can_only_be_deleted(hub: Stack):
    hub.apply("hub", claim("over"))
    _set_condition(hub, "over", "Ended")

    said = hub.kubectl(
        "hub",
        "apply",
        "--server-side",
        "-f",
        "-",
        given=yaml.safe_dump(change(claim("over"), "suspended", True)),
        check=False,
    )

    assert "this claim has ended for good" in said


def _set_condition(hub: Stack, name: str, type_: str) -> None:
    patch = f'{{"status":{{"conditions":[{{"type":"{type_}","status":"True","reason":"Test","lastTransitionTime":"2026-01-01T00:00:00Z"}}]}}}}'
    hub.kubectl(
        "hub",
        "patch",
        "gpuclaim",
        "-n",
        "acme",
        name,
        "--subresource=status",
        "--type=merge",
        "-p",
        patch,
    )


def test_admission_puts_the_finalizer_on_and_stamps_who_asked(hub: Stack):
    forged = claim("stamped")
    forged["metadata"]["annotations"] = {"sublet.dev/requested-by": "somebody-else"}
    hub.apply("hub", forged)

    meta = hub.get("hub", "gpuclaim", "-n", "acme", "stamped")["metadata"]
    assert meta["finalizers"] == ["sublet.dev/release"]
    assert meta["annotations"]["sublet.dev/requested-by"] == "admin"


def test_nobody_but_the_operator_takes_the_finalizer_off(hub: Stack):
    hub.apply("hub", claim("pinned"))

    said = hub.kubectl(
        "hub",
        "patch",
        "gpuclaim",
        "-n",
        "acme",
        "pinned",
        "--type=merge",
        "-p",
        '{"metadata":{"finalizers":[]}}',
        check=False,
    )

    assert "only the sublet operator changes sublet.dev finalizers" in said


def test_fields_explain_themselves(hub: Stack):
    assert "How many GPUs in all." in hub.kubectl("hub", "explain", "gpuclaim.spec.gpus")


def test_the_charts_output_is_accepted_and_linted(hub: Stack):
    chart = str(ROOT / "charts" / "sublet")
    linted = subprocess.run(
        [find("helm"), "lint", "--strict", chart], capture_output=True, text=True, check=False
    )
    rendered = subprocess.run(
        [find("helm"), "template", "sublet", chart, "-n", "sublet-system", "--api-versions", "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert linted.returncode == 0, linted.stdout
    said = hub.kubectl(
        "hub",
        "apply",
        "--server-side",
        "--force-conflicts",
        "--dry-run=server",
        "-f",
        "-",
        given=rendered.stdout,
    )
    assert "deployment.apps/sublet serverside-applied (server dry run)" in said


def test_the_chart_refuses_a_value_it_doesnt_know(hub: Stack):
    chart = str(ROOT / "charts" / "sublet")
    refused = subprocess.run(
        [find("helm"), "template", "x", chart, "--set", "replicas=3"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert "additional properties 'replicas' not allowed" in refused.stderr


def test_every_example_is_accepted(hub: Stack):
    hub.kubectl("hub", "apply", "-f", str(ROOT / "examples" / "00-namespaces.yaml"))
    said = hub.kubectl(
        "hub", "apply", "--dry-run=server", "--validate=strict", "-f", str(ROOT / "examples")
    )

    assert said.count("server dry run") == 12
