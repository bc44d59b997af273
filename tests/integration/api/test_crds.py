"""The CRDs on a real API server: what is accepted, what is refused and with which words, what is defaulted."""

from typing import Any

import pytest

from tests.builders.api import CREATED, claim, gpu_class, lease, statement, tenant, uid_of
from tests.harness.stack import Stack, condition
from tests.integration.api.asking import (
    Body,
    change,
    conditions,
    named,
    new_name,
    set_status,
    stored,
    try_create,
)
from tests.integration.api.crds import CRDS, marks, values_at
from tests.integration.api.populated import ALLOCATION
from tests.planes.binaries import ROOT

pytestmark = pytest.mark.planes

DEFAULTS = marks("default")
OFFER = {
    "change": "Later", "className": "h100", "gpus": 8, "pricePerGpuHour": "3.99", "currency": "USD",
}  # fmt: skip
MOVE = {
    "sequence": 2, "cause": "LeaseEnds", "decidedTime": CREATED, "placements": ALLOCATION["placements"],
}  # fmt: skip
BARE: dict[str, tuple[Body, dict[str, Any]]] = {
    "GpuClaim": (
        claim(topology={}, placement={}),
        {
            "allocation": {**ALLOCATION, "rounding": {}, "sla": {}},
            "offers": [OFFER],
            "move": MOVE,
        },
    ),
    "GpuClass": (gpu_class(requires={}, rounding={}, sla={}), {}),
    "GpuLease": (
        change(
            change(
                lease(tenantAccess={}, billing={}, sla={"claimWithinDays": 30}),
                "commitment.mode",
                None,
            ),
            "commitment.options",
            [
                {
                    "exerciseByTime": "2027-01-01T00:00:00Z",
                    "startTime": "2027-01-01T00:00:00Z",
                    "gpus": 8,
                }
            ],
        ),
        {
            "inventory": {},
            "outlook": [{"time": "2027-01-01T00:00:00Z"}],
            "leftovers": [{"claimUID": uid_of("gone"), "homes": [1], "sinceTime": CREATED}],
        },
    ),
    "GpuTenant": (
        tenant(budget={"amount": "1000", "currency": "USD", "period": "Month"}, billing={}),
        {},
    ),
    "GpuStatement": (
        statement(),
        {
            "lines": [
                {
                    "category": "Use",
                    "gpuHours": "1.000000",
                    "gpuMilliseconds": 3_600_000,
                    "listAmount": "2.00",
                    "amount": "2.00",
                }
            ]
        },
    ),
}
"""By kind, an object and a status that hold the parents of all defaults and leave out the defaults themselves."""


@pytest.fixture(scope="module")
def fresh(hub: Stack) -> dict[str, Body]:
    """Each kind's bare object, as no operator has seen it."""
    bodies = {kind: named(body, new_name()) for kind, (body, _) in BARE.items()}
    hub.apply("hub", *bodies.values())
    return {kind: stored(hub, body) for kind, body in bodies.items()}


@pytest.fixture(scope="module")
def filled(hub: Stack) -> dict[str, Body]:
    """Each kind's bare object with its bare status."""
    bodies = {kind: named(body, new_name()) for kind, (body, _) in BARE.items()}
    hub.apply("hub", *bodies.values())
    for kind, body in bodies.items():
        set_status(hub, body, conditions(Ready="True") | BARE[kind][1])
    return {kind: stored(hub, body) for kind, body in bodies.items()}


@pytest.mark.parametrize("body", [claim(), lease(), gpu_class(), tenant()], ids=lambda b: b["kind"])
def test_what_the_builders_make_is_accepted(hub: Stack, body):
    assert "created (server dry run)" in try_create(hub, body)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (change(gpu_class(), "prices.0.perGpuHour", "abc"), "spec.prices[0].perGpuHour in body should match"),
        (change(gpu_class(), "prices.0.perGpuHour", 3.99), "must be of type string"),
        (change(gpu_class(), "currency", "usd"), "spec.currency"),
        (change(claim(), "gpus", 0), "greater than or equal to 1"),
        (change(claim(), "gpus", 1_000_001), "less than or equal to 1000000"),
        (change(claim(), "gpusPerNode", 3), "gpus must be a multiple of gpusPerNode"),
        (change(claim(), "topology", {"scope": "Rack"}), "Unsupported value"),
        (change(claim(), "placement", {"maxSharePerProviderPercent": 0}), "greater than or equal to 1"),
        (change(claim(), "placement", {"minClusters": 17}), "less than or equal to 16"),
        (change(gpu_class(), "requires", {"memoryMiB": 0}), "greater than or equal to 1"),
        (change(claim(), "tags", {"a b": "x"}), "a tag's name must be"),
        (change(claim(), "tags", {"a": "x" * 200}), "Too long"),
        (change(claim(), "className", "Bad_Name"), "spec.className"),
        (change(claim(), "gpu", 8), 'unknown field "spec.gpu"'),
        (change(claim(), "startTime", "2027-01-01T00:00:00Z"), "unknown field"),
        (change(lease(), "term.endTime", "2025-01-01T00:00:00Z"), "endTime must be later than startTime"),
        (change(lease(), "clusterRef", {}), "give exactly one of kubeconfigSecretRef and inCluster"),
        (change(lease(), "tenantAlias", "West/1"), "spec.tenantAlias"),
        (change(lease(), "term.startTime", "tomorrow"), "must be of type date-time"),
        (change(lease(), "nodeSharing", "Sometimes"), "Unsupported value"),
        (change(tenant(), "namespaces", ["a", "a"]), "Duplicate value"),
        (tenant(billing={"timeZone": "Europe Madrid"}), "spec.billing.timeZone"),
        (tenant(billing={"dayCutHour": 24}), "less than or equal to 23"),
        (change(tenant(), "namespaces", []), "should have at least 1 items"),
        (change(lease(), "prices", None), "spec.prices: Required value"),
        (statement(month="2026-13"), "spec.month"),
        (statement(tenantUID="acme"), "spec.tenantUID"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_with_words_that_help(hub: Stack, body, words):
    assert words in try_create(hub, body)


def test_a_new_object_never_looks_ready(hub: Stack):
    hub.apply("hub", claim("fresh"))

    fresh = hub.claim("acme", "fresh")
    assert fresh is not None
    assert (condition(fresh, "Ready"), condition(fresh, "Ready", "reason")) == (
        "Unknown",
        "WaitingForOperator",
    )


@pytest.mark.parametrize(
    ("kind", "path", "default"),
    [pytest.param(*d, id=f"{d[0]}{d[1]}") for d in DEFAULTS if d[1] != ".status"],
)
def test_what_is_left_out_is_filled_in_with_the_default(filled, kind, path, default):
    body, status = BARE[kind]
    left_out = body | {"status": conditions(Ready="True") | status}
    found = values_at(filled[kind], path)

    assert values_at(left_out, path) == []
    assert [(type(v), v) for v in found] == [(type(default), default)]


@pytest.mark.parametrize("kind", CRDS)
def test_an_object_that_no_operator_has_seen_has_the_default_status(fresh, kind):
    (default,) = [d for k, path, d in DEFAULTS if (k, path) == (kind, ".status")]
    (waiting,) = default["conditions"]

    assert fresh[kind]["status"] == {
        "conditions": [{**waiting, "observedGeneration": 0}],
        "observedGeneration": 0,
    }


def test_the_server_notes_one_owner_for_the_whole_status_of_a_claim(filled):
    managed = filled["GpuClaim"]["metadata"]["managedFields"]
    (entry,) = [e for e in managed if e.get("subresource") == "status"]

    assert entry["fieldsV1"] == {"f:status": {}}


@pytest.mark.parametrize("kind", CRDS)
def test_the_server_adds_nothing_but_defaults_to_what_was_asked_for(fresh, kind):
    added = [
        path.removeprefix(".spec.")
        for k, path, _ in DEFAULTS
        if k == kind and path.startswith(".spec") and values_at(fresh[kind], path)
    ]
    spec = {"spec": fresh[kind]["spec"]}
    for path in added:
        spec = change(spec, path, None)

    assert spec["spec"] == BARE[kind][0]["spec"]


def test_admission_puts_the_finalizer_on_and_stamps_who_asked(hub: Stack):
    forged = claim("stamped")
    forged["metadata"]["annotations"] = {"sublet.dev/requested-by": "somebody-else"}
    hub.apply("hub", forged)

    meta = hub.get("hub", "gpuclaim", "-n", "acme", "stamped")["metadata"]
    assert meta["finalizers"] == ["sublet.dev/release"]
    assert meta["annotations"]["sublet.dev/requested-by"] == "admin"


@pytest.mark.parametrize("body", [claim(), lease(), gpu_class(), tenant()], ids=lambda b: b["kind"])
def test_every_object_says_who_asked_for_it_for_good(hub: Stack, body):
    forged = named(body, new_name())
    forged["metadata"] = {**forged["metadata"], "annotations": {"sublet.dev/requested-by": "x"}}
    hub.apply("hub", forged)

    found = stored(hub, forged)
    assert found["metadata"]["annotations"]["sublet.dev/requested-by"] == "admin"
    where = ("-n", "acme") if body["kind"] == "GpuClaim" else ()
    kind, name = body["kind"].lower(), found["metadata"]["name"]
    mark = ("annotate", kind, name, *where, "--overwrite", "sublet.dev/requested-by=x")
    assert "only the sublet operator" in hub.kubectl("hub", *mark, check=False)


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


def test_every_example_is_accepted(hub: Stack):
    hub.kubectl("hub", "apply", "-f", str(ROOT / "examples" / "00-namespaces.yaml"))
    said = hub.kubectl(
        "hub", "apply", "--dry-run=server", "--validate=strict", "-f", str(ROOT / "examples")
    )

    assert said.count("server dry run") == 12
    overlay = str(ROOT / "examples" / "gitops" / "acme-research")
    said = hub.kubectl("hub", "apply", "--dry-run=server", "--validate=strict", "-k", overlay)
    assert said.count("server dry run") == 1
