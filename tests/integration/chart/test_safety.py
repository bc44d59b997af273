"""What runs for good has few rights and no power over its node: checked field by field, for every combination of values."""

from typing import Any

import pytest

from sublet.manifests.render import HubOptions, hub
from tests.harness.helm import NAMESPACE, rendered
from tests.integration.chart.combinations import COMBINATIONS

Object = dict[str, Any]

RESTRICTED_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
"""The kinds of volumes that Pod Security `restricted` allows."""

everywhere = pytest.mark.parametrize("values", COMBINATIONS.values(), ids=COMBINATIONS)


def pod(values: tuple[str, ...]) -> Object:
    """Return the spec of the only pod that the chart makes."""
    makers = [x for x in rendered(*values) if "template" in x.get("spec", {})]
    (deployment,) = makers
    spec: Object = deployment["spec"]["template"]["spec"]
    return spec


@everywhere
def test_the_pod_satisfies_pod_security_restricted(values: tuple[str, ...]):
    spec = pod(values)
    (container,) = spec["containers"]

    assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers"} & spec.keys()
    assert not {"initContainers", "ephemeralContainers"} & spec.keys()
    kinds = {kind for volume in spec["volumes"] for kind in volume.keys() - {"name"}}
    assert kinds <= RESTRICTED_VOLUMES
    assert all("hostPort" not in port for port in container["ports"])
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"sysctls", "seLinuxOptions", "windowsOptions"} & spec["securityContext"].keys()
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }


@everywhere
def test_the_pod_is_told_nothing_of_services_and_probed_all_its_life(values: tuple[str, ...]):
    spec = pod(values)
    (container,) = spec["containers"]

    assert spec["enableServiceLinks"] is False
    probes = {k: v["httpGet"]["path"] for k, v in container.items() if k.endswith("Probe")}
    assert probes == {
        "startupProbe": "/healthz",
        "livenessProbe": "/healthz",
        "readinessProbe": "/readyz",
    }
    # the root is read-only: whatever is written has a volume
    writable = {m["mountPath"] for m in container["volumeMounts"] if not m.get("readOnly")}
    assert {"/tmp", "/var/lib/sublet"} <= writable


@everywhere
def test_rights_are_those_of_the_manifests_and_no_others(values: tuple[str, ...]):
    def rules(objects: Any) -> dict[tuple[str, str], Any]:
        roles = (x for x in objects if x["kind"] in ("Role", "ClusterRole"))
        return {(x["kind"], x["metadata"]["name"]): x["rules"] for x in roles}

    operator = f"system:serviceaccount:{NAMESPACE}:sublet"
    assert rules(rendered(*values)) == rules(
        hub(HubOptions(operator=operator, namespace=NAMESPACE))
    )


@everywhere
def test_nobody_is_cluster_admin_and_no_rule_has_a_wildcard(values: tuple[str, ...]):
    objects = rendered(*values)

    roles = [x for x in objects if x["kind"] in ("Role", "ClusterRole")]
    assert [r["metadata"]["name"] for r in roles if "*" in str(r["rules"])] == []
    verbs = {v for r in roles for rule in r["rules"] for v in rule["verbs"]}
    assert not verbs & {"escalate", "bind", "impersonate"}
    made = {r["metadata"]["name"] for r in roles}
    bindings = [x for x in objects if x["kind"] in ("RoleBinding", "ClusterRoleBinding")]
    assert {b["roleRef"]["name"] for b in bindings} <= made


@everywhere
def test_the_operator_is_bound_to_its_own_two_roles_alone(values: tuple[str, ...]):
    operator = {"kind": "ServiceAccount", "name": "sublet", "namespace": NAMESPACE}

    bound = [
        (x["kind"], x["roleRef"]["name"])
        for x in rendered(*values)
        if x["kind"].endswith("RoleBinding") and operator in x["subjects"]
    ]
    assert bound == [("ClusterRoleBinding", "sublet-hub"), ("RoleBinding", "sublet-hub")]


@everywhere
def test_only_metrics_are_served_and_only_to_whom_the_values_name(values: tuple[str, ...]):
    objects = rendered(*values)

    (service,) = (x for x in objects if x["kind"] == "Service")
    assert service["spec"]["ports"] == [{"name": "http", "port": 8080, "targetPort": "http"}]
    assert service["spec"].get("type", "ClusterIP") == "ClusterIP"
    for policy in (x for x in objects if x["kind"] == "NetworkPolicy"):
        assert sorted(policy["spec"]["policyTypes"]) == ["Egress", "Ingress"]
        for way in policy["spec"]["ingress"]:  # none: nobody
            assert [p["port"] for p in way["ports"]] == ["http"]
            assert way["from"]
