"""What the chart makes of its values, and which values it refuses, with words that say what to do."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from sublet.hub.rates import parse_rates
from sublet.settings import PREFIX, Settings
from tests.harness.helm import CHART, NAMESPACE, helm, refusal, rendered
from tests.integration.chart.combinations import COMBINATIONS, EVERYTHING, MONITORED, POSTGRESQL
from tests.planes.binaries import ROOT

Object = dict[str, Any]

KEPT = {
    "helm.sh/resource-policy": "keep",
    "argocd.argoproj.io/sync-options": "Prune=false,Delete=false",
}
"""What neither Helm nor Argo CD takes away."""

RATE = (
    "rates.reportingCurrency=EUR",
    "rates.rates[0].currency=USD",
    "rates.rates[0].effectiveTime=2026-01-01T00:00:00Z",
)

NAMES = (
    "ledger.databaseUrlSecret.name",
    "ledger.databaseUrlSecret.key",
    "image.pullSecrets[0]",
    "image.tag",
    "events.tokenSecret.name",
    "events.tokenSecret.key",
    "export.credentialsSecret",
    "claimQuotas[0].namespace",
    "monitoring.tokenSecret.name",
    "monitoring.tokenSecret.key",
    "monitoring.readers[0].namespace",
    "monitoring.readers[0].serviceAccount",
    "monitoring.labels.team",
    "monitoring.dashboards.namespace",
    "podLabels.team",
    "nodeSelector.pool",
    "priorityClassName",
    "settings.SUBLET_DEFAULT_TENANT",
)
"""Values that are names, and may look like numbers or truths."""
FRACTIONS = {  # of each setting that is a number: what is just outside, what is just inside
    "SUBLET_PLAN_QUIET_SECONDS": (("0.0", "1.001"), ("0.001", "0.999", "1.0")),
    "SUBLET_PLAN_WAIT_SECONDS": (("0.0", "10.5"), ("0.5", "9.99")),
    "SUBLET_ACCOUNTS_SECONDS": (("0.0", "3600.1"), ("0.1", "3599.9")),
    "SUBLET_STATEMENT_SECONDS": (("0.999",), ("1.5",)),
    "SUBLET_RELIST_SECONDS": (("9.99",), ("10.01",)),
    "SUBLET_PROBE_SECONDS": (("0.0",), ("0.5",)),
    "SUBLET_GPU_SETTLE_SECONDS": (("-0.5",), ("0.0", "0.5")),
    "SUBLET_ISOLATION_SECONDS": (("9.5",), ("10.0",)),
    "SUBLET_DRIFT_SECONDS": (("0.99",), ("1.01",)),
    "SUBLET_LEASE_SECONDS": (("2.99",), ("3.5",)),
}

REFUSED = {
    "two writers of one file": (
        ("replicas=2",),
        "SQLite has one writer; for more replicas set ledger.store=postgresql",
    ),
    "a database that isn't used": (
        ("ledger.databaseUrlSecret.name=x",),
        "leave it out with ledger.store=sqlite, or set ledger.store=postgresql",
    ),
    "no database": (
        ("ledger.store=postgresql",),
        "at '/ledger/databaseUrlSecret': missing property 'name'",
    ),
    "PostgreSQL with one pod": (
        (*POSTGRESQL, "replicas=1"),
        "PostgreSQL needs 2 or 3, of which one may be away; for 1 set ledger.store=sqlite",
    ),
    "two leaders": (
        (*POSTGRESQL, "settings.SUBLET_LEADER_ELECTION=false"),
        "more than one replica needs it; leave it out",
    ),
    "another store": (("ledger.store=mysql",), "value must be one of 'sqlite', 'postgresql'"),
    "an update that the store decides": (
        ("strategy=RollingUpdate",),
        "additional properties 'strategy' not allowed",
    ),
    "a misspelt setting": (
        ("settings.SUBLET_DATABSE_URL=x",),
        "at '/settings': additional properties 'SUBLET_DATABSE_URL' not allowed",
    ),
    "a setting out of its bounds": (
        ("settings.SUBLET_EXPORT_HOUR=24",),
        "at '/settings/SUBLET_EXPORT_HOUR': maximum: got 24, want 23",
    ),
    "a setting that the chart makes": (
        ("settings.SUBLET_DATABASE_URL=sqlite:///x",),
        "say ledger.store, and for PostgreSQL ledger.databaseUrlSecret",
    ),
    "exports of nobody": (
        ("settings.SUBLET_EXPORT_TARGET=s3://finance",),
        "at '/settings': missing property 'SUBLET_EXPORT_SELLER'",
    ),
    "exports of somebody without a name": (
        ("settings.SUBLET_EXPORT_TARGET=s3://finance", "settings.SUBLET_EXPORT_SELLER= "),
        "at '/settings/SUBLET_EXPORT_SELLER': ' ' does not match pattern",
    ),
    "exports to no place": (
        ("settings.SUBLET_EXPORT_TARGET=gs://finance", "settings.SUBLET_EXPORT_SELLER=Sublet"),
        "give the whole path of a directory, as /var/lib/sublet/focus, or s3://bucket/prefix",
    ),
    "a port that nobody finds": (
        ("settings.SUBLET_LISTEN_PORT=0",),
        "at '/settings/SUBLET_LISTEN_PORT': minimum: got 0, want 1",
    ),
    "an address that no probe reaches": (
        ("settings.SUBLET_LISTEN_HOST=127.0.0.1",),
        "leave it out, or give :: for IPv6; probes come from outside the pod",
    ),
    "a port that the command line doesn't look at": (
        ("settings.SUBLET_ADMIN_PORT=9091",),
        "always 8081 in the pod: port-forwards of the command line lead there",
    ),
    "one port for two endpoints": (
        ("settings.SUBLET_LISTEN_PORT=8081",),
        "8081 is taken by the admin endpoint; choose another",
    ),
    "a key of no Secret": (
        ("events.tokenSecret.key=token",),
        "at '/events/tokenSecret': properties 'name' required, if 'key' exists",
    ),
    "pods monitored without a token": (
        ("monitoring.monitor=PodMonitor",),
        "at '/monitoring/tokenSecret': missing property 'name'",
    ),
    "a rate that Helm would round": (
        (*RATE, "rates.rates[0].rate=1"),
        "at '/rates/rates/0/rate': got number, want string",
    ),
    "rates into nothing": (
        ("rates.rates[0].currency=USD",),
        "at '/rates': properties 'reportingCurrency' required, if 'rates' exists",
    ),
    "an address that is no network": (
        ("networkPolicy.egressExcept[0]=10.0.0.5",),
        "at '/networkPolicy/egressExcept/0': '10.0.0.5' does not match pattern",
    ),
    "a size that Kubernetes doesn't know": (
        ("ledger.size=8GB",),
        "at '/ledger/size': '8GB' does not match pattern",
    ),
    "an alert that isn't there": (
        ("monitoring.rules.enabled=true", "monitoring.rules.disabled[0]=SubletDwon"),
        "monitoring.rules.disabled: there is no alert SubletDwon",
    ),
    "a path of the node": (
        ("extraVolumes[0].name=x", "extraVolumes[0].hostPath.path=/"),
        "additional properties 'hostPath' not allowed",
    ),
    "half a digest": (("image.digest=sha256:12",), "at '/image/digest'"),
}


def one(objects: tuple[Object, ...], kind: str, name: str = "sublet") -> Object:
    """Return an object."""
    (found,) = (x for x in objects if x["kind"] == kind and x["metadata"]["name"] == name)
    return found


def named(objects: tuple[Object, ...], kind: str) -> list[str]:
    """Return the names of a kind's objects."""
    return [x["metadata"]["name"] for x in objects if x["kind"] == kind]


def environment(objects: tuple[Object, ...]) -> dict[str, Any]:
    """Return the operator's environment: name -> value, or where it comes from."""
    (container,) = one(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    return {x["name"]: x.get("value", x.get("valueFrom")) for x in container["env"]}


@pytest.mark.parametrize(("values", "said"), REFUSED.values(), ids=REFUSED)
def test_what_cant_be_is_refused_and_said(values: tuple[str, ...], said: str):
    assert said in refusal(*values)


def test_each_setting_that_is_a_number_is_looked_at():
    made = Settings.model_json_schema()["properties"]

    numbers = {f"{PREFIX}{k.upper()}" for k, each in made.items() if each.get("type") == "number"}
    assert numbers == FRACTIONS.keys()


@pytest.mark.parametrize("name", FRACTIONS)
def test_a_fraction_is_held_to_its_setting_s_bounds(name: str):
    outside, inside = FRACTIONS[name]

    for value in outside:
        assert f"settings.{name} must be" in refusal(f"settings.{name}={value}") or value[0] == "-"
    for value in inside:
        assert environment(rendered(f"settings.{name}={value}"))[name] == value


@pytest.mark.parametrize("odd", ["123", "true", "on", "007", "1e3", "null"])
def test_a_name_that_looks_like_something_else_stays_a_name(odd: str):
    found, anyway = (
        [each.style for each in scalars_of_names(name) if each.value == odd]
        for name in (odd, "acme")
    )

    assert len(found) - len(anyway) > len(NAMES)
    assert found.count(None) == anyway.count(None)  # `true` itself


@cache
def scalars_of_names(name: str) -> list[yaml.ScalarNode]:
    """Return every scalar of a release that has one name for everything, as it is written."""
    ways = (*POSTGRESQL, *MONITORED, "claimQuotas[0].claims=1", "monitoring.monitor=PodMonitor")
    given = [x for each in ways for x in ("--set", each)]
    given += [x for each in NAMES for x in ("--set-string", f"{each}={name}")]
    text = helm("template", name, str(CHART), "--namespace", name, *given)
    return [each for document in yaml.compose_all(text) if document for each in scalars(document)]


def scalars(node: yaml.Node) -> Iterator[yaml.ScalarNode]:
    """Yield every scalar of a document."""
    if isinstance(node, yaml.ScalarNode):
        yield node
    elif isinstance(node, yaml.SequenceNode):
        for each in node.value:
            yield from scalars(each)
    elif isinstance(node, yaml.MappingNode):
        for pair in node.value:
            for each in pair:
                yield from scalars(each)


def test_helm_finds_nothing_to_say():
    said = helm("lint", "--strict", str(CHART))

    assert re.findall(r"\[(?:WARNING|ERROR)\].*", said) == []


@pytest.mark.parametrize("values", COMBINATIONS.values(), ids=COMBINATIONS)
def test_every_object_has_a_name_of_its_own_and_the_release_s_namespace(values: tuple[str, ...]):
    objects = rendered(*values)

    who = [(x["kind"], x["metadata"].get("namespace"), x["metadata"]["name"]) for x in objects]
    assert len(set(who)) == len(who)
    assert {namespace for _, namespace, _ in who} <= {None, NAMESPACE, "acme"}
    operators = set(re.findall(r"system:serviceaccount:[a-z-]+:\w+", str(objects)))
    assert operators == {f"system:serviceaccount:{NAMESPACE}:sublet"}


def test_sqlite_is_one_pod_on_one_volume_that_stays():
    objects = rendered()

    spec = one(objects, "Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    volume = one(objects, "PersistentVolumeClaim", "sublet-ledger")
    assert volume["spec"]["accessModes"] == ["ReadWriteOncePod"]
    assert volume["metadata"]["annotations"] == KEPT
    assert named(objects, "PodDisruptionBudget") == []


def test_postgresql_is_two_pods_that_are_never_away_together():
    objects = rendered(*POSTGRESQL)

    spec = one(objects, "Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]["type"]) == (2, "RollingUpdate")
    assert one(objects, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    assert named(objects, "PersistentVolumeClaim") == []
    assert environment(objects)["SUBLET_DATABASE_URL"] == {
        "secretKeyRef": {"name": "sublet-database", "key": "url"}
    }


def test_settings_reach_the_operator_as_they_were_written():
    given = environment(rendered(*EVERYTHING))

    assert given["SUBLET_METRICS_RETENTION_SECONDS"] == "2592000"
    assert given["SUBLET_USAGE_HALF_LIFE_SECONDS"] == "31536000"
    assert given["SUBLET_PLAN_QUIET_SECONDS"] == "0.25"
    assert given["SUBLET_METRICS_OPENCOST"] == "true"
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    assert {name for name in given if name.startswith(PREFIX)} <= known
    texts = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in given.items()
        if name.startswith(PREFIX) and isinstance(value, str)
    }
    assert Settings.model_validate(texts).listen_port == 9090


def test_a_port_is_the_same_everywhere():
    objects = rendered(*EVERYTHING)

    (container,) = one(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    (port,) = container["ports"]
    assert port == {"name": "http", "containerPort": 9090}
    assert one(objects, "Service")["spec"]["ports"][0]["targetPort"] == "http"
    assert one(objects, "NetworkPolicy")["spec"]["ingress"][0]["ports"][0]["port"] == "http"


def test_rates_are_a_table_that_the_operator_takes(tmp_path: Path):
    page = (ROOT / "docs/metering.md").read_text()
    (shown,) = re.findall(r"^    reportingCurrency:.*\n(?:    .*\n)+", page, flags=re.MULTILINE)
    values = tmp_path / "values.yaml"
    values.write_text(f"rates:\n{shown}")

    text = helm("template", "x", str(CHART), "-f", str(values), "-s", "templates/rates.yaml")

    written = yaml.safe_load(text)["data"]["rates.yaml"]
    assert parse_rates(written) == parse_rates(shown)


def test_secrets_are_named_and_never_written():
    objects = rendered(*EVERYTHING)

    assert named(objects, "Secret") == []
    given = environment(objects)
    assert given["AWS_SECRET_ACCESS_KEY"]["secretKeyRef"]["name"] == "bucket"
    assert given["SUBLET_EVENTS_TOKEN_FILE"] == "/etc/sublet/events/token"


def test_an_image_is_known_by_its_digest_where_there_is_one():
    def image(*values: str) -> str:
        spec = one(rendered(*values), "Deployment")["spec"]["template"]["spec"]
        return str(spec["containers"][0]["image"])

    assert image() == "sublet:0.1.0"
    assert image(*EVERYTHING) == f"sublet@sha256:{'0' * 64}"


def test_crds_stay_unless_somebody_says_otherwise():
    def policies(*values: str) -> list[dict[str, str] | None]:
        crds = (x for x in rendered(*values) if x["kind"] == "CustomResourceDefinition")
        return [x["metadata"].get("annotations") for x in crds]

    assert policies() == [KEPT] * 5
    assert policies("crds.keep=false") == [None] * 5
    assert policies("crds.enabled=false") == []


def test_mutating_policies_wait_for_a_server_that_knows_them():
    assert len(named(rendered(), "MutatingAdmissionPolicy")) == len(
        named(rendered(), "MutatingAdmissionPolicyBinding")
    )
    assert named(rendered(mutating=False), "MutatingAdmissionPolicy") == []


def test_a_monitor_reads_with_a_token_and_leaves_claims_their_namespace():
    (own,) = one(rendered(*MONITORED), "ServiceMonitor")["spec"]["endpoints"]
    given = rendered(*COMBINATIONS["pods monitored"])
    (named_,) = one(given, "PodMonitor")["spec"]["podMetricsEndpoints"]

    assert own["bearerTokenFile"] == "/var/run/secrets/kubernetes.io/serviceaccount/token"
    assert named_["authorization"]["credentials"] == {"name": "prometheus", "key": "token"}
    assert own["honorLabels"]
    assert named_["honorLabels"]
    binding = one(rendered(*MONITORED), "ClusterRoleBinding", "sublet-metrics-view")
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": "prometheus-k8s", "namespace": "monitoring"}
    ]


def test_a_namespace_gets_a_quota_on_claims():
    quota = one(rendered(*EVERYTHING), "ResourceQuota", "sublet-claims")

    assert quota["metadata"]["namespace"] == "acme"
    assert quota["spec"]["hard"] == {"count/gpuclaims.sublet.dev": "100"}


def test_the_second_account_is_made_only_where_it_is_asked_for_and_stays():
    account = one(rendered(*EVERYTHING), "ServiceAccount", "sublet-leased")

    assert named(rendered(), "ServiceAccount") == ["sublet"]
    assert account["metadata"]["annotations"] == KEPT
    assert one(rendered(*EVERYTHING), "ServiceAccount")["metadata"]["annotations"] == {
        "role": "writer"
    }
