"""What a claim's namespace is made from: its quota counts whatever a tenant may make."""

import ipaddress
import re

import pytest
from hypothesis import given, strategies as st

from sublet.api.ids import ClaimUID
from sublet.api.lease_terms import Egress, RoleRule, TenantAccess
from sublet.binder.namespace import Home, contents, internet, quota_hard
from sublet.crdgen.docstrings import field_docstrings
from sublet.manifests.render import LeasedOptions, leased_cluster

CORE = {"pods", "configmaps", "secrets", "services", "persistentvolumeclaims"}


def hard(*rules: RoleRule) -> dict[str, str]:
    """Return the quota of a claim of eight GPUs."""
    access = TenantAccess(role_rules=rules)
    return quota_hard(Home(ClaimUID("uid"), 1, 8, access, "https://west", None))


def granted() -> set[str]:
    """Return what the tenants' role lets them make, as a quota names it."""
    (role,) = (
        m
        for m in leased_cluster(LeasedOptions())
        if (m["kind"], m["metadata"]["name"]) == ("ClusterRole", "sublet-tenant")
    )
    return {
        f"count/{resource}.{group}" if group else resource
        for rule in role["rules"]
        if "create" in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        if "/" not in resource
    }


def test_every_kind_that_a_tenant_may_make_is_counted():
    assert granted() >= CORE
    assert granted() - {*hard()} == set()


def test_every_kind_that_a_lease_sells_is_counted_and_no_part_of_one():
    rule = RoleRule(api_group="kubeflow.org", resources=("pytorchjobs", "pytorchjobs/status"))

    assert {*hard(rule)} - {*hard()} == {"count/pytorchjobs.kubeflow.org"}


def test_no_number_asks_pods_to_say_what_they_need():
    """A quota on CPU or memory refuses a pod that names neither; it is there with a limit range alone."""
    assert [k for k in hard() if k.endswith((".cpu", ".memory", ".ephemeral-storage"))] == []


def test_what_kubectl_explain_calls_always_denied_is():
    said = re.findall(r"[0-9a-f.:]+/[0-9]+", field_docstrings(TenantAccess)["denied_cidrs"])

    denied = {
        each for block in internet((), "https://west.example.org") for each in block["except"]
    }

    assert said
    assert {*said} <= denied


def test_without_the_internet_a_pod_gets_out_to_dns_alone_also_to_one_on_its_own_machine():
    access = TenantAccess(egress=Egress.NONE)
    home = Home(ClaimUID("uid"), 1, 8, access, "https://west", None)
    (policy,) = (body for path, body in contents(home) if "/networkpolicies/" in path)

    ways_out = [rule for rule in policy["spec"]["egress"] if rule["to"] != [{"podSelector": {}}]]

    assert [{p["port"] for p in rule["ports"]} for rule in ways_out] == [{53}]
    assert {"ipBlock": {"cidr": "169.254.20.10/32"}} in ways_out[0]["to"]


@pytest.mark.parametrize("text", ["203.0.113/24", "203.0.113.0/240", "203.0.113.0/33", "203.000.113.0/24", "2001:db8::/129", "2001:db8:/32", "::ffff:203.0.113.0/120"])  # fmt: skip
def test_where_a_denied_network_cant_be_read_everything_outside_is_denied(text: str):
    assert internet(["198.51.100.0/24", text], "https://west.example.org") == []


@given(
    st.lists(st.ip_addresses().map(lambda each: f"{each}/{each.max_prefixlen - 4}"), max_size=5),
    st.sampled_from(["https://203.0.113.7:6443", "https://[2001:db8::1]", "https://west", ""]),
)
def test_no_block_is_open_without_what_is_denied(denied: list[str], server: str):
    blocks = internet(denied, server)

    for text in denied:
        network = ipaddress.ip_network(text, strict=False)
        for block in blocks:
            if ipaddress.ip_network(block["cidr"]).version == network.version:
                assert str(network) in block["except"]
