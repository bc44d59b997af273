"""Whether tenants can list the names of all Services by their addresses is said as far as it can be seen."""

from typing import Any

import pytest

from sublet.cli.onboarding.corefile import dns_finding, zones_of
from sublet.cli.onboarding.findings import Finding, Level
from sublet.kube.session import ApiServer
from tests.harness.fake_api import answering, fake_api

PATH = "/api/v1/namespaces/kube-system/configmaps/coredns"
USUAL = """
.:53 {
    errors
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
    }
    forward . /etc/resolv.conf {
        max_concurrent 1000
    }
}
"""
QUIET = USUAL.replace("cluster.local in-addr.arpa ip6.arpa", "cluster.local  # in-addr.arpa")


@pytest.mark.parametrize(
    ("corefile", "zones"),
    [
        (USUAL, ["cluster.local", "in-addr.arpa", "ip6.arpa"]),
        (QUIET, ["cluster.local"]),
        ("10.96.0.0/16 cluster.local {\n kubernetes\n}\n. {\n forward . 1.1.1.1\n}", ["10.96.0.0/16", "cluster.local"]),
        (". {\n forward . 1.1.1.1\n}", []),
        ("cluster.local,\nin-addr.arpa {\n kubernetes\n}", ["cluster.local", "in-addr.arpa"]),
        (". {\n errors\n}\ncluster.local\n{\n kubernetes\n}", ["cluster.local"]),
        (".:53\nerrors\nkubernetes\nhealth", [".:53"]),
        ("", []),
    ],
)  # fmt: skip
def test_services_are_looked_up_in_the_zones_of_the_plugin_or_of_its_server(
    corefile: str, zones: list[str]
):
    assert zones_of(corefile) == zones


async def found(shown: Any) -> Finding:
    """Return what is said of a cluster that shows this where the Corefile is; None: nothing is there."""
    async with fake_api() as cluster, ApiServer(cluster.endpoint) as api:
        if shown is not None:
            cluster.objects[PATH] = shown
        return await dns_finding(api)


@pytest.mark.parametrize(
    ("corefile", "level", "words"),
    [
        (USUAL, Level.WARNING, "take in-addr.arpa and ip6.arpa off the kubernetes line"),
        ("cluster.local 10.96.0.0/12:53 {\n kubernetes\n}", Level.WARNING, "can list the names"),
        ("fd00::/108 {\n kubernetes\n}", Level.WARNING, "can list the names"),
        ("dns://cluster.local:53 {\n kubernetes {\n }\n}", Level.OK, "answers no reverse lookups"),
        (QUIET, Level.OK, "answers no reverse lookups"),
        (".:53 {\n kubernetes {\n }\n}", Level.WARNING, "can list the names"),
        ("dns://.:53 {\n kubernetes\n}", Level.WARNING, "can list the names"),
        (":53 {\n kubernetes\n}", Level.WARNING, "can list the names"),
        (". {\n kubernetes .\n}", Level.WARNING, "can list the names"),
        ("in-addr.arpa, cluster.local {\n kubernetes\n}", Level.WARNING, "can list the names"),
        ('. {\n kubernetes cluster.local "in-addr.arpa"\n}', Level.WARNING, "can list the names"),
        (". {\n kubernetes cluster.local IN-ADDR.ARPA\n}", Level.WARNING, "can list the names"),
        (USUAL + "import custom/*.server", Level.WARNING, "can list the names"),
        (". {\n kubernetes {$ZONES}\n}", Level.UNKNOWN, "comes from elsewhere"),
        (". {\n kubernetes {%ZONES%}\n}", Level.UNKNOWN, "comes from elsewhere"),
        (QUIET + "import custom/*.server", Level.UNKNOWN, "comes from elsewhere"),
        ("import custom/*", Level.UNKNOWN, "ask the landlord"),
    ],
)
async def test_what_reverse_lookups_tell_is_said(corefile: str, level: Level, words: str):
    finding = await found({"data": {"Corefile": corefile}})

    assert finding.level is level
    assert words in finding.text


@pytest.mark.parametrize("shown", [None, {}, answering(403, "Forbidden")], ids=["no ConfigMap", "no Corefile", "no right"])  # fmt: skip
async def test_of_a_corefile_that_isnt_seen_nothing_is_known(shown: Any):
    assert (await found(shown)).level is Level.UNKNOWN
