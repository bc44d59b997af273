"""The kinds as people and pipelines meet them with kubectl: columns, names, waiting, fields with several owners."""

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from sublet.api import claim_status
from sublet.api.gpuclaim import Access, Allocation, ClaimStatus, ClusterAccess, GpuClaim
from sublet.api.relocation import ReleaseCause
from tests.builders.api import NOW, claim, gpu_class, lease, tenant
from tests.harness.stack import Stack, condition
from tests.integration.api.asking import (
    Body,
    apply,
    change,
    conditions,
    named,
    new_name,
    set_status,
    stored,
)
from tests.integration.api.crds import CRDS, columns_of, marks, values_at
from tests.integration.api.populated import ALLOCATION, POPULATED

pytestmark = pytest.mark.planes

ACCESS = Access(
    secret_name="train-kubeconfig",
    clusters=(ClusterAccess(alias="west", namespace="n", expiration_time=NOW),),
)
LATER = "2027-01-01T00:00:00Z"
SHARED = {  # kind and path of a list -> the object of one team, the entry of another
    ("GpuLease", ".spec.prices"): (lease(), {"effectiveTime": LATER, "perGpuHour": "2.00"}),
    ("GpuLease", ".spec.maintenance"): (
        lease(maintenance=[{"startTime": LATER, "endTime": "2027-01-02T00:00:00Z"}]),
        {"startTime": "2027-02-01T00:00:00Z", "endTime": "2027-02-02T00:00:00Z", "gpus": 8},
    ),
    ("GpuLease", ".spec.commitment.phases"): (
        lease(),
        {"commitmentId": "more", "startTime": LATER, "gpus": 128},
    ),
    ("GpuLease", ".spec.commitment.options"): (
        change(lease(), "commitment.options", [{"exerciseByTime": LATER, "startTime": LATER, "gpus": 8, "exercised": False}]),
        {"exerciseByTime": LATER, "startTime": "2027-02-01T00:00:00Z", "gpus": 8, "exercised": False},
    ),
    ("GpuLease", ".spec.tenantAccess.roleRules"): (
        lease(tenantAccess={"roleRules": [{"apiGroup": "kubeflow.org", "resources": ["pytorchjobs"]}]}),
        {"apiGroup": "ray.io", "resources": ["rayjobs"]},
    ),
    ("GpuClass", ".spec.prices"): (gpu_class(), {"effectiveTime": LATER, "perGpuHour": "3.50"}),
    ("GpuTenant", ".spec.quotas"): (
        tenant(quotas=[{"className": "h100", "gpus": 64}]),
        {"className": "h200", "gpus": 8},
    ),
    ("GpuTenant", ".spec.protectedGpus"): (
        tenant(protectedGpus=[{"className": "h100", "gpus": 64}]),
        {"className": "h200", "gpus": 8},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def shown(hub: Stack) -> Stack:
    """The hub with one populated object of each kind."""
    for each in POPULATED.values():
        hub.apply("hub", each.body)
        set_status(hub, each.body, each.status)
    return hub


def get_row(hub: Stack, kind: str, *arguments: str) -> dict[str, str]:
    """Return the one row that `kubectl get` prints, by heading."""
    where = ("-n", "acme") if kind in ("GpuClaim", "GpuStatement") else ()
    head, row = hub.kubectl("hub", "get", kind.lower(), "shown", *where, *arguments).splitlines()
    starts = [m.start() for m in re.finditer(r"\S+", head)]
    spans = zip(starts, [*starts[1:], None], strict=True)
    return {head[a:b].strip(): row[a:b].strip() for a, b in spans}


@pytest.mark.parametrize("kind", CRDS)
def test_every_column_shows_what_the_object_says(shown: Stack, kind):
    row = get_row(shown, kind, "-o", "wide")

    assert list(row) == ["NAME", *columns_of(kind, wide=True)]
    assert row.pop("NAME") == "shown"
    assert re.fullmatch(r"\d+[smh](\d+[sm])?", row.pop("AGE"))
    assert row == POPULATED[kind].row


@pytest.mark.parametrize("kind", CRDS)
def test_the_narrow_table_has_the_columns_that_arent_wide(shown: Stack, kind):
    row = get_row(shown, kind)

    narrow = columns_of(kind, wide=False)
    assert list(row) == ["NAME", *narrow]
    assert {c: row[c] for c in narrow if c != "AGE"} == {
        c: POPULATED[kind].row[c] for c in narrow if c != "AGE"
    }


@pytest.mark.parametrize("kind", CRDS)
def test_short_names_name_the_kind(shown: Stack, kind):
    names = CRDS[kind]["spec"]["names"]["shortNames"]

    assert names
    for name in names:
        assert f"{kind.lower()}.sublet.dev/shown" in shown.kubectl(
            "hub", "get", name, "-A", "-o", "name"
        )


def test_the_category_lists_all_kinds(shown: Stack):
    said = shown.kubectl("hub", "get", "sublet", "-A", "-o", "name").splitlines()

    assert {f"{kind.lower()}.sublet.dev/shown" for kind in CRDS} <= set(said)


def test_claims_are_found_by_their_class(shown: Stack):
    find = ("get", "gclaim", "-n", "acme", "-o", "name", "--field-selector")

    assert "/shown" in shown.kubectl("hub", *find, "spec.className=h100")
    assert "/shown" not in shown.kubectl("hub", *find, "spec.className!=h100")


def test_fields_explain_themselves(hub: Stack):
    assert "How many GPUs in all;" in hub.kubectl("hub", "explain", "gpuclaim.spec.gpus")


def test_people_can_wait_until_a_claim_is_bound(hub: Stack):
    asked = reserved_claim(hub)
    name = asked["metadata"]["name"]
    wait = ("wait", "--for=condition=Bound", "-n", "acme", f"gpuclaim/{name}")
    assert "condition not met" in hub.kubectl("hub", *wait, "--timeout=0", check=False)

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(hub.kubectl, "hub", *wait, "--timeout=90s")
        write(hub, asked, claim_status.bound(seen(hub, asked), NOW, ACCESS, NOW))

    assert waiting.result() == f"gpuclaim.sublet.dev/{name} condition met\n"


def test_a_claim_that_was_extended_still_counts_as_bound(hub: Stack):
    asked = reserved_claim(hub)
    write(hub, asked, claim_status.bound(seen(hub, asked), NOW, ACCESS, NOW))
    hub.apply("hub", change(asked, "schedule", {"durationSeconds": 7200}))
    write(hub, asked, claim_status.extended(seen(hub, asked), NOW, ReleaseCause.COMPLETED, NOW))

    name = asked["metadata"]["name"]
    wait = ("wait", "--for=condition=Bound", "-n", "acme", f"gpuclaim/{name}", "--timeout=0")
    assert "condition met" in hub.kubectl("hub", *wait)


@pytest.mark.parametrize(("kind", "path"), SHARED)
def test_two_teams_own_entries_of_one_list_without_conflict(hub: Stack, kind, path):
    first, entry = SHARED[kind, path]
    first = named(first, new_name())
    theirs = {**first, "spec": nested(path.removeprefix(".spec."), [entry])}
    platform, finance = "platform", "finance"
    (own,) = values_at(first, path)

    for body, manager in ((first, platform), (theirs, finance), (first, platform)):
        assert "serverside-applied" in apply(hub, body, manager)

    assert values_at(stored(hub, first), path) == [[*own, entry]]


def test_every_list_of_a_spec_that_is_merged_by_keys_is_tried_with_two_teams():
    keyed = marks("x-kubernetes-list-map-keys")

    assert set(SHARED) == {(kind, path) for kind, path, _ in keyed if path.startswith(".spec")}


def test_who_changes_another_teams_entry_is_told_of_the_conflict(hub: Stack):
    first = named(lease(), new_name())
    apply(hub, first, "platform")

    other = change(first, "commitment.phases.0.gpus", 1)
    said = apply(hub, other, "finance")

    assert 'conflict with "platform": .spec.commitment.phases[commitmentId="all"].gpus' in said


@pytest.mark.parametrize("kind", sorted(set(CRDS) - {"GpuClaim"}))
def test_two_controllers_own_conditions_of_one_object_without_conflict(hub: Stack, kind):
    body = named(POPULATED[kind].body, new_name())
    hub.apply("hub", body)
    head = {key: body[key] for key in ("apiVersion", "kind", "metadata")}

    for manager, type_ in (("sublet", "Ready"), ("auditor", "Audited"), ("sublet", "Ready")):
        status = {**head, "status": conditions(**{type_: "True"})}
        said = apply(hub, status, manager, subresource="/status")
        assert "serverside-applied" in said

    seen_of = stored(hub, body)
    assert (condition(seen_of, "Ready"), condition(seen_of, "Audited")) == ("True", "True")


def test_another_controllers_condition_of_a_claim_stays_when_the_operator_writes(hub: Stack):
    asked = named(claim(schedule={"durationSeconds": 3600}), new_name())
    hub.apply("hub", asked)
    waiting = stored(hub, asked)["status"]["conditions"]
    set_status(hub, asked, {"conditions": [*waiting, *conditions(Audited="True")["conditions"]]})

    write(hub, asked, claim_status.reserved(seen(hub, asked), Allocation.model_validate(ALLOCATION), NOW))  # fmt: skip

    found = stored(hub, asked)
    assert (condition(found, "Reserved"), condition(found, "Audited")) == ("True", "True")


def nested(path: str, value: Any) -> dict[str, Any]:
    """Return the value in an object of objects."""
    for part in reversed(path.split(".")):
        value = {part: value}
    return value


def reserved_claim(hub: Stack) -> Body:
    """Return a new claim with the status that the operator writes when it reserves."""
    asked = named(claim(schedule={"durationSeconds": 3600}), new_name())
    hub.apply("hub", asked)
    allocation = Allocation.model_validate(ALLOCATION)
    write(hub, asked, claim_status.reserved(seen(hub, asked), allocation, NOW))
    return asked


def seen(hub: Stack, asked: Body) -> GpuClaim:
    """Return a claim as the operator reads it."""
    return GpuClaim.model_validate(stored(hub, asked))


def write(hub: Stack, asked: Body, status: ClaimStatus) -> None:
    """Set a status in the form in which the operator writes it."""
    set_status(hub, asked, status.model_dump(mode="json", by_alias=True, exclude_none=True))
