"""`sublet get`: the API's own columns, of one namespace or all, for people, programs and spreadsheets."""

import json

import pytest

from sublet.api.kinds import ALL_KINDS
from sublet.api.times import parse_instant
from sublet.cli import get
from tests.builders.api import CREATED, claim, gpu_class, lease
from tests.builders.stored import bound_claim
from tests.harness.fake_api import SteppedClock

NOW = parse_instant("2026-11-22T12:30:00Z")


@pytest.fixture(autouse=True)
def at_noon(monkeypatch):
    clock = SteppedClock()
    clock.seconds = NOW / 1_000
    monkeypatch.setattr(get, "SystemClock", lambda: clock)


@pytest.fixture
def full(hub):
    """Return a hub with two claims in two namespaces, a class and a lease."""
    train = bound_claim()
    train["metadata"]["creationTimestamp"] = CREATED
    hub.put(train)
    hub.put(claim("infer", "globex", gpus=16))
    hub.put(gpu_class())
    hub.put(lease("west"))
    return hub


def test_claims_of_the_contexts_namespace_stand_in_the_apis_columns(person, full):
    status, out, _ = person.run("get", "claims")

    assert status == 0
    assert out.splitlines() == [
        "NAME    CLASS   GPUS   RESERVED   BOUND   REASON   AGE",
        "train   h100    8      True       True    Bound    3h 30m",
    ]


def test_of_all_namespaces_each_has_its_own_in_front(person, full):
    _, out, _ = person.run("get", "gclaim", "-A")

    assert [line.split()[:2] for line in out.splitlines()] == [
        ["NAMESPACE", "NAME"],
        ["acme", "train"],
        ["globex", "infer"],
    ]


def test_wide_says_more(person, full):
    _, out, _ = person.run("get", "claims", "train", "-o", "wide")

    assert {"UNTIL", "PRICE", "MESSAGE"} <= set(out.splitlines()[0].split())
    assert {"2026-11-22T14:00:00Z", "3.99"} <= set(out.splitlines()[1].split())


def test_csv_has_all_columns_and_json_has_all_fields(person, full):
    _, table, _ = person.run("get", "leases", "-o", "csv")
    _, data, _ = person.run("get", "claims", "-n", "globex", "-o", "json")

    _, one, _ = person.run("get", "claims", "infer", "-n", "globex", "-o", "json")
    assert json.loads(one) == json.loads(data)[0]
    assert table.startswith("name,product,committed,bound,free,ready,reason,ends,provider,")
    assert json.loads(data)[0]["spec"] == {"className": "h100", "gpus": 16}


@pytest.mark.parametrize("kind", ALL_KINDS, ids=lambda kind: kind.name)
def test_each_kind_has_all_its_names(kind):
    short = kind.plural.removeprefix("gpu")
    for name in (kind.name, kind.plural, short, short.removesuffix("s") if kind.name != "GpuClass" else "class", *kind.short_names):  # fmt: skip
        assert get.kind_named(name) is kind


def test_what_is_no_kind_is_answered_with_those_there_are(person):
    status, _, err = person.run("get", "pods")

    assert status == 1
    assert err == "sublet: there is no kind 'pods'; there are: leases, classes, tenants, claims, statements\n"  # fmt: skip


def test_a_name_is_of_one_namespace(person, full):
    status, _, err = person.run("get", "claims", "train", "-A")

    assert (status, err) == (1, "sublet: a name is one namespace's: give -n with it, not -A\n")


def test_nothing_there_is_said(person):
    assert person.run("get", "claims")[1] == "no gpuclaims in namespace acme\n"
    assert person.run("get", "leases")[1] == "no gpuleases\n"


def test_what_isnt_there_is_an_error(person):
    status, _, err = person.run("get", "claims", "gone")

    assert status == 1
    assert "claims gone: not found on the hub" in err
