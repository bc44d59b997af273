"""A tenant on the hub, with no more than the right to edit its namespace, tries to get more than it is due."""

import asyncio
import json
from typing import Any

import pytest

from tests.builders.api import claim, lease
from tests.harness.stack import Stack, condition
from tests.harness.waiting import wait_for
from tests.integration.isolation.tenancy import ACME, GLOBEX, Caller, Object, Tenancy, runs

pytestmark = [pytest.mark.planes, pytest.mark.timeout(400)]

CLAIMS = f"/apis/sublet.dev/v1alpha1/namespaces/{ACME}/gpuclaims"
THEIRS = f"/apis/sublet.dev/v1alpha1/namespaces/{GLOBEX}/gpuclaims"
WORK = f"{CLAIMS}/work"
OTHER = "00000000-0000-4000-8000-000000000000"
OWNED_BY_NOTHING: Object = {"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "none", "uid": OTHER}]}}  # fmt: skip
OURS = "only the sublet operator changes sublet.dev finalizers, labels and annotations"
LEFT_OFF = "leave finalizers, labels and annotations of sublet.dev off a new object"


def asked(name: str, **spec: Any) -> Object:
    return claim(name, ACME, **spec)


def stored(tenancy: Tenancy, name: str = "work") -> Object:
    found = tenancy.stack.claim(ACME, name)
    assert found is not None
    return found


async def test_a_forged_status_is_not_written(tenancy: Tenancy):
    forged: Object = {"status": {"conditions": [], "allocation": None}}
    before = stored(tenancy)["status"]
    async with tenancy.hub_user() as tess:
        assert "cannot patch resource" in await tess.merges(f"{WORK}/status", forged)
        assert "cannot update resource" in await tess.asks("PUT", f"{WORK}/status", stored(tenancy))
        # on the claim itself the server drops a status without a word
        assert await tess.merges(WORK, forged) == "accepted"
        born = {**asked("born-bound"), "status": {"conditions": before["conditions"]}}
        made = await tess.api.create(CLAIMS, born)

        assert await tess.asks("DELETE", f"{CLAIMS}/born-bound") == "accepted"

    assert stored(tenancy)["status"]["allocation"] == before["allocation"]
    assert condition(made, "Bound") != "True"
    assert condition(made, "Reserved") != "True"


@pytest.mark.parametrize(
    "meta",
    [
        {"finalizers": []},
        {"finalizers": None},
        {"annotations": {"sublet.dev/requested-by": "ann"}},
        {"annotations": {"sublet.dev/requested-by": None}},
        {"annotations": {"sublet.dev/anything": "x"}},
        {"labels": {"sublet.dev/tenant": "globex"}},
        {"labels": {"billing.sublet.dev/free": "true"}},
    ],
)
async def test_what_is_ours_of_a_claim_stays_as_it_is(tenancy: Tenancy, meta):
    async with tenancy.hub_user() as tess:
        said = await tess.merges(WORK, {"metadata": meta})
        assert await tess.merges(WORK, {"metadata": {"labels": {"team": "a"}}}) == "accepted"

    assert OURS in said


@pytest.mark.parametrize(
    "meta",
    [
        {"finalizers": ["sublet.dev/in-use"]},
        {"finalizers": ["sublet.dev/release", "sublet.dev/kopf"]},
        {"finalizers": ["sublet.dev/requested-by"]},
        {"annotations": {"sublet.dev/restored": OTHER}},
        {"annotations": {"sublet.dev/approved": f"{OTHER}=8,h100"}},
        {"labels": {"billing.sublet.dev/free": "true"}},
    ],
)
async def test_nothing_of_ours_is_on_a_claim_from_its_creation(tenancy: Tenancy, meta):
    """A finalizer that nobody takes off would leave a claim that can't be deleted; so would a mark of restoring."""
    born = asked("born", suspended=True)
    born["metadata"].update(meta)
    again = asked("again", suspended=True)
    again["metadata"] |= {
        "finalizers": ["sublet.dev/release", "mine.dev/hold"],
        "annotations": {"sublet.dev/requested-by": f"system:serviceaccount:{ACME}:editor"},
        "labels": {"team": "a"},
    }
    async with tenancy.hub_user() as tess:
        said = await tess.creates(CLAIMS, born)
        assert await tess.creates(CLAIMS, again, dry=True) == "accepted"

    assert said.startswith("403"), said
    assert LEFT_OFF in said


def test_who_writes_statuses_restores_objects_as_they_were(tenancy: Tenancy):
    """`sublet restore` makes them with a mark, and with the finalizers that they had."""
    hub = ("create", "--dry-run=server", "-f", "-")
    marked = {"annotations": {"sublet.dev/restored": OTHER}, "finalizers": ["sublet.dev/in-use"]}
    for each in (asked("back", suspended=True), lease("back")):
        each["metadata"].update(marked)
        assert "created" in tenancy.stack.kubectl("hub", *hub, given=json.dumps(each))


async def test_a_claim_made_again_from_what_is_stored_loses_nothing_of_ours(tenancy: Tenancy):
    async def replaced() -> str:
        bare = stored(tenancy)
        bare["metadata"] = {
            k: v
            for k, v in bare["metadata"].items()
            if k in ("name", "namespace", "resourceVersion")
        }
        async with tenancy.hub_user() as tess:
            return await tess.asks("PUT", WORK, bare)

    said = await replaced()
    while said.startswith("409"):  # the operator wrote a status in between
        said = await replaced()
    assert OURS in said


async def test_who_asked_is_who_asked(tenancy: Tenancy):
    forged = asked("forged", suspended=True)
    forged["metadata"]["annotations"] = {"sublet.dev/requested-by": "the-boss"}
    async with tenancy.hub_user() as tess:
        made = await tess.api.create(CLAIMS, forged)
        assert await tess.asks("DELETE", f"{CLAIMS}/forged") == "accepted"

    assert made["metadata"]["annotations"]["sublet.dev/requested-by"] == f"system:serviceaccount:{ACME}:editor"  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value"),
    [("kubeconfigSecretRef", {"name": "west"}), ("secretRef", {"name": "x", "namespace": GLOBEX}),
     ("namespace", GLOBEX), ("tenant", "globex"), ("pricePerGpuHour", "0.01"), ("lease", "west")],
)  # fmt: skip
async def test_a_claim_names_no_secret_tenant_price_or_lease(tenancy: Tenancy, field, value):
    """There are no such fields: what isn't known is dropped, and refused where the client asks for that."""
    name = f"confused-{field.lower()}"  # one that is deleted keeps its name for a moment
    body = asked(name, suspended=True)
    body["spec"][field] = value
    async with tenancy.hub_user() as tess:
        made = await tess.api.create(CLAIMS, body)
        assert await tess.asks("DELETE", f"{CLAIMS}/{name}") == "accepted"
    strict = tenancy.stack.kubectl(
        "hub", "create", "--validate=strict", "-f", "-", given=json.dumps(body), check=False
    )

    assert field not in made["spec"]
    assert f'unknown field "spec.{field}"' in strict


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", THEIRS),
        ("GET", f"{THEIRS}/theirs"),
        ("DELETE", f"{THEIRS}/theirs"),
        ("GET", f"/api/v1/namespaces/{GLOBEX}/secrets/theirs-kubeconfig"),
        ("GET", "/api/v1/namespaces/sublet-system/secrets"),
        ("GET", "/apis/sublet.dev/v1alpha1/gpuclaims"),
        ("GET", "/apis/sublet.dev/v1alpha1/gpuleases"),
        ("GET", "/apis/sublet.dev/v1alpha1/gputenants"),
    ],
)
async def test_a_tenant_reads_nothing_of_others_nor_what_is_paid_for_it(
    tenancy: Tenancy, method, path
):
    async with tenancy.hub_user() as tess:
        said = await tess.asks(method, path)
        assert await tess.asks("GET", CLAIMS) == "accepted"

    assert said.startswith("403"), said
    assert f"system:serviceaccount:{ACME}:editor" in said


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"gpus": 64}, ": gpus can't change"),
        ({"className": "h200"}, ": className can't change"),
        ({"placement": {"leases": {"allow": ["east"]}}}, ": placement can't change"),
        ({"priorityClassName": "high"}, ": priorityClassName can't change"),
        ({"gpusPerNode": 8}, ": gpusPerNode can't change"),
    ],
)
async def test_what_was_reserved_isnt_changed_afterwards(tenancy: Tenancy, change, words):
    async with tenancy.hub_user() as tess:
        said = await tess.merges(WORK, {"spec": change})
        with_status = await tess.merges(WORK, {"spec": change, "status": None})
        assert await tess.merges(WORK, {"spec": {"tags": {"a": "b"}}}) == "accepted"

    for each in (said, with_status):
        assert each.startswith("422"), each
        assert words in each


async def test_a_claim_made_again_under_its_name_is_another(tenancy: Tenancy):
    """It is billed from its own instant, in a namespace of its own, and has nothing of the first."""
    stack = tenancy.stack
    stack.apply("hub", asked("again", gpus=2))
    first = wait_for("bound", lambda: stack.is_bound(ACME, "again"))
    async with tenancy.hub_user() as tess:
        assert await tess.asks("DELETE", f"{CLAIMS}/again") == "accepted"
        while "being deleted" in (said := await tess.creates(CLAIMS, asked("again", gpus=2))) or said.startswith("409"):  # fmt: skip
            pass
        assert said == "accepted"
    second = wait_for("bound again", lambda: stack.is_bound(ACME, "again"))
    stack.kubectl("hub", "-n", ACME, "delete", "gpuclaim", "again", "--timeout=90s")

    assert second["metadata"]["uid"] != first["metadata"]["uid"]
    homes = [x["status"]["access"]["clusters"][0]["namespace"] for x in (first, second)]
    assert homes[0] != homes[1]
    assert homes[1].startswith(f"sublet-{second['metadata']['uid']}-")
    ends = [x["status"]["allocation"]["boundTime"] for x in (first, second)]
    assert ends[0] < ends[1]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (asked("a" * 254), "must be no more than 253"),
        (asked("a\nb"), "a lowercase RFC 1123 subdomain"),
        (asked("{{x}}"), "a lowercase RFC 1123 subdomain"),
        (asked("x", class_name="a\nb"), "spec.className"),
        (asked("x", class_name="{{.Values}}"), "spec.className"),
        (asked("x", class_name="c" * 254), "spec.className"),
        (asked("x", tags={"a\nb": "c"}), "a tag's name must be letters"),
        (asked("x", tags={"a": "b" * 129}), "spec.tags"),
        (asked("x", tags={f"t{i}": "v" for i in range(33)}), "spec.tags"),
        (asked("x", placement={"leases": {"allow": ["../../etc", "a\nb"]}}), "spec.placement.leases.allow"),
        (asked("x", gpus=10**9), "spec.gpus"),
        (asked("x", gpus=-1), "spec.gpus"),
        (asked("x", maxPricePerGpuHour="1; DROP TABLE"), "spec.maxPricePerGpuHour"),
    ],
)  # fmt: skip
async def test_texts_that_break_out_of_names_and_lines_are_refused(tenancy: Tenancy, body, words):
    async with tenancy.hub_user() as tess:
        said = await tess.creates(CLAIMS, body)

    assert said.startswith("422"), said
    assert words in said


async def test_texts_that_are_allowed_reach_no_name_and_break_no_line(tenancy: Tenancy):
    """A tag's text is the tenant's own: it is carried as data to the ledger and never becomes a name or a log line."""
    stack = tenancy.stack
    nasty = "a\nsublet: {{ .x }} $(id) ' \" \\"
    stack.apply("hub", asked("nasty", gpus=1, tags={"note": nasty}))
    bound = wait_for("bound", lambda: stack.is_bound(ACME, "nasty"))
    found = stack.get("west", "namespace", bound["status"]["access"]["clusters"][0]["namespace"])
    stack.kubectl("hub", "-n", ACME, "delete", "gpuclaim", "nasty", "--timeout=90s")

    assert bound["status"]["allocation"]["tags"] == {"note": nasty}
    assert "{{" not in json.dumps(found)
    for line in tenancy.operator.log.read_text().splitlines():
        assert line.startswith("{"), "a log line that isn't the operator's"


async def test_an_object_larger_than_the_store_takes_is_refused(tenancy: Tenancy):
    huge = asked("huge", suspended=True)
    huge["metadata"]["annotations"] = {"a": "x" * 300_000}
    async with tenancy.hub_user() as tess:
        said = await tess.creates(CLAIMS, huge)

    assert "may not be more than 262144 bytes" in said


@pytest.mark.parametrize(
    ("meta", "words"),
    [
        ({"labels": {f"l{i}": "" for i in range(65)}}, "at most 64 labels"),
        ({"annotations": {f"a{i}": "" for i in range(65)}}, "at most 64 annotations"),
        ({"finalizers": ["sublet.dev/release", *(f"mine.dev/f{i}" for i in range(16))]}, "at most 16 finalizers"),
        ({"ownerReferences": [{"apiVersion": "v1", "kind": "Secret", "name": f"s{i}", "uid": f"u{i}"} for i in range(17)]}, "at most 16 owners"),
    ],
)  # fmt: skip
async def test_what_stands_around_a_claim_is_bounded(tenancy: Tenancy, meta, words):
    """It is in every list of claims that the operator reads, as large as the store takes."""
    laden = asked("laden", suspended=True)
    laden["metadata"].update(meta)
    async with tenancy.hub_user() as tess:
        said = await tess.creates(CLAIMS, laden)
        grown = await tess.merges(WORK, {"metadata": meta})

    for each in (said, grown):
        assert each.startswith("403"), each
        assert words in each


async def test_thousands_of_tiny_claims_stop_at_the_namespaces_quota(tenancy: Tenancy):
    """As docs/security.md advises: a count per namespace. Nobody else waits for it."""
    hard = {"count/gpuclaims.sublet.dev": "20"}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "claims", "namespace": ACME}, "spec": {"hard": hard}}  # fmt: skip
    stack = tenancy.stack
    stack.apply("hub", quota)
    wait_for("the quota is in force", lambda: stack.get("hub", "resourcequota", "-n", ACME, "claims").get("status", {}).get("hard"))  # fmt: skip
    async with tenancy.hub_user() as tess:
        said = [
            await tess.creates(CLAIMS, asked(f"tiny-{i}", gpus=1, class_name="h200"))
            for i in range(40)
        ]
    stack.apply("hub", claim("next", GLOBEX, gpus=1))
    wait_for("the neighbour's is served", lambda: stack.is_bound(GLOBEX, "next"))
    stack.kubectl("hub", "-n", GLOBEX, "delete", "gpuclaim", "next", "--timeout=90s")
    _sweep(stack, "tiny-")
    stack.kubectl("hub", "-n", ACME, "delete", "resourcequota", "claims")

    refused = [each for each in said if each != "accepted"]
    assert len(refused) >= 20
    assert all("exceeded quota: claims" in each for each in refused), refused


async def test_who_edits_a_claim_without_end_holds_up_nobody(tenancy: Tenancy):
    """Each edit changes what is to be planned, and a pass waits a second at most for the hub to be quiet."""
    stack, over = tenancy.stack, asyncio.Event()
    before = stored(tenancy)["status"]["allocation"]
    stack.apply("hub", asked("hot", gpus=1, maxPricePerGpuHour="0.01"))
    async with tenancy.hub_user() as tess:
        edits = asyncio.create_task(_edit_until(over, tess))
        await asyncio.to_thread(stack.apply, "hub", claim("next", GLOBEX, gpus=1))
        await asyncio.to_thread(wait_for, "served", lambda: stack.is_bound(GLOBEX, "next"))
        over.set()
        said = await edits
    wait_for("the last edit is seen", lambda: _is_seen(stored(tenancy, "hot")))
    stack.kubectl("hub", "-n", GLOBEX, "delete", "gpuclaim", "next", "--timeout=90s")

    assert set(said) == {"accepted"}
    assert condition(stored(tenancy, "hot"), "Ready", "reason") == "PriceUnmet"
    assert stored(tenancy)["status"]["allocation"] == before
    _sweep(stack, "hot")


async def _edit_until(over: asyncio.Event, tess: Caller) -> list[str]:
    """Edit one claim again and again, as fast as the hub takes it."""
    said: list[str] = []
    while not over.is_set():
        price = f"0.{1 + len(said) % 9}"
        said.append(await tess.merges(f"{CLAIMS}/hot", {"spec": {"maxPricePerGpuHour": price}}))
    return said


def _is_seen(found: Object) -> bool:
    return bool(found["status"].get("observedGeneration") == found["metadata"]["generation"])


async def test_a_kubeconfig_secret_isnt_planted_or_bent(tenancy: Tenancy):
    path = f"/api/v1/namespaces/{ACME}/secrets"
    planted = {"metadata": {"name": "x-kubeconfig"}, "type": "sublet.dev/kubeconfig", "data": {"value": "AAAA"}}  # fmt: skip
    words = "only the sublet operator writes Secrets of type sublet.dev/kubeconfig"
    async with tenancy.hub_user() as tess:
        assert words in await tess.creates(path, planted)
        assert words in await tess.merges(f"{path}/work-kubeconfig", {"data": {"value": "AAAA"}})
        assert words in await tess.merges(f"{path}/work-kubeconfig", {"immutable": True})
        assert words in await tess.merges(f"{path}/work-kubeconfig", OWNED_BY_NOTHING)
        assert await tess.asks("GET", f"{path}/work-kubeconfig") == "accepted"


async def test_a_tenant_makes_no_lease_class_or_tenant(tenancy: Tenancy):
    async with tenancy.hub_user() as tess:
        said = [
            await tess.creates("/apis/sublet.dev/v1alpha1/gpuleases", lease("mine")),
            await _patched(tess, "gpuclasses/h100", {"spec": {"prices": []}}),
            await _patched(tess, "gputenants/acme", {"spec": {"namespaces": [ACME, GLOBEX]}}),
        ]
        assert await tess.asks("GET", "/apis/sublet.dev/v1alpha1/gpuclasses") == "accepted"

    assert all(each.startswith("403") and "cannot" in each for each in said), said


async def _patched(tess: Caller, what: str, body: Object) -> str:
    return await tess.merges(f"/apis/sublet.dev/v1alpha1/{what}", body)


def _sweep(stack: Stack, prefix: str) -> None:
    names = stack.kubectl("hub", "-n", ACME, "get", "gpuclaims", "-o", "name").split()
    mine = [n for n in names if f"/{prefix}" in n]
    stack.kubectl("hub", "-n", ACME, "delete", *mine, "--timeout=60s")


def test_after_all_that_the_tenants_own_pod_runs_on_its_own_node(tenancy: Tenancy):
    runs(tenancy, "work")
