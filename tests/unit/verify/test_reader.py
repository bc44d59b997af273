"""A reading of hub, clusters and ledger: what is believed, what is unknown, and what is nobody's to tell."""

import copy
from dataclasses import dataclass, field
from typing import Any

import pytest

from sublet.api.ids import LeaseUID
from sublet.kube.errors import BadAnswer, Forbidden, KubeError, NotFound, Unreachable
from sublet.ledger.chain import verify
from sublet.ledger.port import LedgerUnavailable
from sublet.verify.find import find_violations
from sublet.verify.reader import WorldReader, read_world
from tests.builders import restored
from tests.builders.api import uid_of
from tests.builders.nodes import gpu_node
from tests.builders.worlds import LATER, NODES, WEST, bound_claim, sound_world, uid
from tests.harness.fake_api import SteppedClock

TRAIN = bound_claim()
HOME = f"sublet-{uid(TRAIN)}-1"
TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeXN0ZW0ifQ.c2lnbmF0dXJlLW9mLWEtdG9rZW4"
LEASE_UID = LeaseUID(WEST.metadata.uid)
CLAIMS = "/apis/sublet.dev/v1alpha1/gpuclaims"
LEASES = "/apis/sublet.dev/v1alpha1/gpuleases"
RBAC = "/apis/rbac.authorization.k8s.io/v1"


@dataclass
class Plane:
    """Answers GET by path: an object, a list, an error to raise, or a function to call at each look."""

    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def get(self, path: str, **params: str) -> dict[str, Any]:
        self.asked.append(path)
        found = self.answers.get(path)
        found = found() if callable(found) else found
        if isinstance(found, Exception):
            raise found
        if found is None:
            raise NotFound(404, "NotFound", f"{path} not found")
        return copy.deepcopy({"metadata": {}, "items": found} if isinstance(found, list) else found)

    async def list_metadata(self, path: str, type_: Any, **params: str) -> Any:
        return await self.get(path, **params)


class Ledger:
    """A ledger in memory."""

    def __init__(self, *, away: bool = False) -> None:
        self.entries = list(sound_world(TRAIN).ledger.entries)
        self.away = away

    async def read_entries(self, after_seq=0):
        if self.away:
            raise LedgerUnavailable("the ledger's store is away")
        return self.entries

    async def verify(self):
        return verify(self.entries)

    async def read_terms(self, hashes):
        return dict.fromkeys(hashes, "{}")


def forbidden():
    return Forbidden(403, "Forbidden", "no")


def raw_claim(**changes: Any) -> dict[str, Any]:
    body = TRAIN.model_dump(mode="json", by_alias=True, exclude_none=True)
    body["metadata"]["resourceVersion"] = "7"
    return body | changes


def raw_lease() -> dict[str, Any]:
    return WEST.model_dump(mode="json", by_alias=True, exclude_none=True)


def hub(**changes: Any) -> Plane:
    owner = {"kind": "GpuClaim", "uid": TRAIN.metadata.uid}
    secret = {"name": "train-kubeconfig", "namespace": "acme", "ownerReferences": [owner]}
    return Plane(
        {
            CLAIMS: [raw_claim()],
            LEASES: [raw_lease()],
            "/api/v1/secrets": [{"metadata": secret}],
            "/api/v1/events": [],
        }
        | changes
    )


def adopted(index: int) -> dict[str, Any]:
    node = gpu_node(NODES[index].name)
    node["metadata"]["uid"] = NODES[index].uid
    node["metadata"]["labels"]["sublet.dev/lease"] = LEASE_UID
    notes = {"sublet.dev/allocation": "", "sublet.dev/sharing": "SameTenant"}
    node["metadata"]["annotations"] |= notes
    node["spec"]["taints"] = [
        {"key": "sublet.dev/pool", "value": LEASE_UID, "effect": "NoSchedule"}
    ]
    return node


def locked(index: int) -> dict[str, Any]:
    node = adopted(index)
    node["metadata"]["annotations"] |= {
        "sublet.dev/allocation": f"{uid(TRAIN)}=8",
        "sublet.dev/tenant": TRAIN.status.allocation.tenant_uid,
    }
    node["metadata"]["labels"][f"claim.sublet.dev/{uid(TRAIN)}"] = "true"
    return node


def inside(name: str) -> list[dict[str, Any]]:
    return [{"metadata": {"name": name, "namespace": HOME}}]


def west(**changes: Any) -> Plane:
    hard = {"requests.nvidia.com/gpu": "8"}
    quota = {"metadata": {"name": "sublet", "namespace": HOME}, "spec": {"hard": hard}, "status": {"hard": hard}}  # fmt: skip
    home = {"metadata": {"name": HOME, "labels": {"sublet.dev/claim": uid(TRAIN)}}}
    return Plane(
        {
            "/api/v1/namespaces/kube-system": {"metadata": {"uid": uid_of("west")}},
            "/api/v1/nodes": [locked(0), adopted(1)],
            "/api/v1/namespaces": [home],
            f"/api/v1/namespaces/{HOME}": home,
            "/api/v1/resourcequotas": [quota],
            f"/api/v1/namespaces/{HOME}/resourcequotas/sublet": quota,
            "/apis/networking.k8s.io/v1/networkpolicies": inside("sublet"),
            "/api/v1/serviceaccounts": inside("tenant"),
            f"{RBAC}/rolebindings": inside("sublet-tenant"),
            "/api/v1/pods": [],
        }
        | changes
    )


def clock() -> SteppedClock:
    stepped = SteppedClock()
    stepped.seconds = LATER / 1_000
    return stepped


async def read(of=None, leased=None, ledger=None, **more):
    clusters = {LEASE_UID: leased if leased is not None else west()}
    return await read_world(
        of or hub(), clusters, ledger if ledger is not None else Ledger(), clock=clock(), **more
    )


async def test_a_sound_system_is_read_as_one():
    world = await read()

    assert (world.unknown, dict(world.unchecked)) == ((), {})
    assert list(find_violations(world, settled=True)) == []
    (cluster,) = world.clusters
    assert (cluster.name, len(cluster.nodes), len(cluster.namespaces)) == ("west", 2, 1)
    assert len(world.ledger.entries) == 2


async def test_nothing_but_reads_and_metadata_of_secrets_is_asked_for():
    of = hub()
    await read(of)

    assert of.asked.count(CLAIMS) == 2
    assert not [path for path in of.asked if "/secrets/" in path]


async def test_a_claim_written_during_the_reading_is_moving():
    versions = iter("78")

    def claims():
        return [raw_claim(metadata=raw_claim()["metadata"] | {"resourceVersion": next(versions)})]

    world = await read(hub(**{CLAIMS: claims}), west(**{"/api/v1/nodes": [adopted(0)]}))

    assert world.moving == {uid(TRAIN)}
    assert list(find_violations(world, settled=False)) == []


def owned_by(owner: str) -> list[dict[str, Any]]:
    owners = [{"kind": "GpuClaim", "uid": owner}]
    return [
        {"metadata": {"name": "train-kubeconfig", "namespace": "acme", "ownerReferences": owners}}
    ]


async def test_adopted_objects_are_who_they_were():
    both = {CLAIMS: [restored.adopted(restored.restored(raw_claim()))],
            LEASES: [restored.adopted(restored.restored(raw_lease(), "own"))]}  # fmt: skip
    world = await read(hub(**both, **{"/api/v1/secrets": owned_by(uid_of("new"))}))

    assert (world.unknown, dict(world.unchecked)) == ((), {})
    assert list(find_violations(world, settled=True)) == []


async def test_restored_objects_that_wait_are_known_and_nothing_is_judged_of_them():
    world = await read(hub(**{CLAIMS: [restored.restored(raw_claim())], "/api/v1/secrets": []}))

    assert (world.claims, world.awaited) == ((), {uid(TRAIN)})
    assert "wait to be adopted" in world.unchecked["1 restored claims and leases"]
    assert list(find_violations(world, settled=True)) == []


async def test_a_claim_with_junk_in_its_status_is_unknown_and_has_no_orphans():
    junk = raw_claim(status={"allocation": "yes"})
    world = await read(hub(**{CLAIMS: [junk]}))

    (unknown,) = world.unknown
    assert unknown.subject == "claim acme/train"
    assert "status.allocation isn't as this version of sublet knows it" in unknown.message
    assert list(find_violations(world, settled=True)) == []


@pytest.mark.parametrize(
    "answer",
    [
        Unreachable("no answer"),
        {"metadata": {"uid": uid_of("another")}},
        {"metadata": []},
        {"metadata": {"uid": 5}},
    ],
)
async def test_a_cluster_that_doesnt_answer_or_is_another_is_unknown(answer):
    lease = raw_lease()
    lease["status"] = {"clusterUID": uid_of("west")}
    lease["spec"]["clusterRef"]["clusterUID"] = uid_of("another")  # an edit makes it no other's
    away = west(**{"/api/v1/namespaces/kube-system": answer})
    world = await read(hub(**{LEASES: [lease]}), away)

    assert [u.subject for u in world.unknown] == ["lease west"]
    assert world.clusters == ()
    assert list(find_violations(world, settled=True)) == []


@pytest.mark.parametrize(
    "junk", [[{"metadata": None}], [{"metadata": {"name": "x"}}], {"items": 7}, [7], {}], ids=str
)
@pytest.mark.parametrize("path", ["/api/v1/nodes", "/api/v1/pods", "/api/v1/namespaces"])
async def test_a_cluster_that_answers_nonsense_is_unknown(junk, path):
    if path == "/api/v1/pods" and isinstance(junk, list):
        junk = [{"metadata": None, "spec": {"nodeName": "x"}}]
    if path == "/api/v1/namespaces" and isinstance(junk, list):
        junk = [{"metadata": None}]
    world = await read(leased=west(**{path: junk}))

    assert [u.subject for u in world.unknown] == ["lease west"]
    assert list(find_violations(world, settled=True)) == []


async def test_a_lease_without_a_credential_is_unknown():
    world = await read_world(hub(), {}, None, clock=clock())
    told = WorldReader(hub(), {}, None, clock=clock(), missing={LEASE_UID: "there is no Secret"})

    assert [u.subject for u in world.unknown] == ["lease west"]
    assert [u.message for u in (await told.read()).unknown] == ["there is no Secret"]


async def test_what_may_not_be_listed_is_asked_for_by_name_or_said_to_be_unchecked():
    lists = [
        "/api/v1/namespaces",
        "/api/v1/resourcequotas",
        "/apis/networking.k8s.io/v1/networkpolicies",
        "/api/v1/serviceaccounts",
        f"{RBAC}/rolebindings",
    ]
    world = await read(leased=west(**dict.fromkeys(lists, forbidden())))

    (found,) = world.clusters[0].namespaces
    assert (found.name, found.quota_gpus, found.has_binding) == (HOME, 8, None)
    assert sorted(world.unchecked) == [
        "namespaces of west",
        "networkpolicies of west",
        "rolebindings of west",
        "serviceaccounts of west",
    ]
    assert world.unknown == ()
    assert list(find_violations(world, settled=True)) == []


async def test_a_namespace_that_may_be_read_by_name_and_isnt_there_is_missing():
    gone = west(**{"/api/v1/namespaces": forbidden()})
    del gone.answers[f"/api/v1/namespaces/{HOME}"]

    assert [v.id for v in find_violations(await read(leased=gone), settled=False)] == ["S4"]


async def test_secrets_that_may_not_be_listed_are_unknown():
    world = await read(hub(**{"/api/v1/secrets": forbidden()}))

    assert world.secrets is None
    assert [u.subject for u in world.unknown] == ["the hub's Secrets"]


async def test_a_ledger_that_is_away_is_unknown_and_one_that_isnt_given_unchecked():
    away = await read(ledger=Ledger(away=True))
    none = await read_world(hub(), {LEASE_UID: west()}, None, clock=clock())

    assert [u.subject for u in away.unknown] == ["the ledger"]
    assert list(none.unchecked) == ["ledger"]


async def test_a_hub_that_cant_be_read_is_an_error():
    with pytest.raises(KubeError):
        await read(hub(**{CLAIMS: Unreachable("no answer")}))


@pytest.mark.parametrize("path", [CLAIMS, LEASES, "/api/v1/secrets", "/api/v1/events"])
async def test_a_hub_that_answers_nonsense_is_an_error(path):
    with pytest.raises(BadAnswer, match=f"{path} is not what the API promises"):
        await read(hub(**{path: {}}))


async def test_credentials_in_status_events_and_annotations_are_leaks():
    shown = raw_claim()
    shown["status"]["conditions"][0]["message"] = f"401 for {TOKEN}"
    noted = locked(0)
    noted["metadata"]["annotations"]["sublet.dev/tenant"] = TOKEN
    event = {"metadata": {"name": "e", "namespace": "acme", "uid": "1"}, "message": f"used {TOKEN}"}
    world = await read(
        hub(**{CLAIMS: [shown], "/api/v1/events": [event]}), west(**{"/api/v1/nodes": [noted]})
    )

    assert {(leak.subject, leak.place) for leak in world.leaks} == {
        ("claim acme/train", "status"),
        ("event acme/e", "message"),
        ("node west/west-0000", "annotations"),
    }
    assert TOKEN not in str(list(map(str, find_violations(world, settled=False))))


async def test_two_leases_of_one_cluster_are_one_cluster():
    second = raw_lease()
    second["metadata"] |= {"name": "more", "uid": uid_of("more")}
    clusters = {LEASE_UID: west(), LeaseUID(uid_of("more")): west()}
    world = await read_world(
        hub(**{LEASES: [raw_lease(), second]}), clusters, Ledger(), clock=clock()
    )

    (cluster,) = world.clusters
    assert (cluster.name, len(cluster.lease_uids)) == ("more+west", 2)
    assert list(find_violations(world, settled=True)) == []


async def test_a_cluster_that_says_anothers_name_is_believed_in_nothing_nor_is_the_other():
    second, liar = raw_lease(), west(**{"/api/v1/nodes": []})
    second["metadata"] |= {"name": "more", "uid": uid_of("more")}
    clusters = {LEASE_UID: west(), LeaseUID(uid_of("more")): liar}
    world = await read_world(
        hub(**{LEASES: [raw_lease(), second]}), clusters, Ledger(), clock=clock()
    )

    assert world.clusters == ()
    assert sorted(u.subject for u in world.unknown) == ["lease more", "lease west"]
    assert list(find_violations(world, settled=True)) == []


async def test_what_didnt_change_isnt_parsed_again():
    reader = WorldReader(hub(), {LEASE_UID: west()}, None, clock=clock())
    first, second = await reader.read(), await reader.read()

    assert first.claims[0] is second.claims[0]


async def test_since_when_a_contract_holds_is_its_creation_or_the_last_hand_on_it():
    edited = raw_lease()
    edited["metadata"] |= {
        "generation": 2,
        "managedFields": [
            {"time": "2026-11-22T09:30:00Z"},
            {"time": "2026-11-22T09:59:00Z", "subresource": "status"},
        ],
    }
    unknown = raw_lease()
    unknown["metadata"]["generation"] = 3

    at_first = (await read()).spec_changed[LEASE_UID]
    later = (await read(hub(**{LEASES: [edited]}))).spec_changed[LEASE_UID]
    assert (later - at_first) // 60_000 == 31
    assert (await read(hub(**{LEASES: [unknown]}))).spec_changed == {}


async def test_a_node_that_shows_fewer_gpus_than_before_isnt_steady():
    weak = locked(0)
    nodes = iter([[locked(0)], [weak]])
    reader = WorldReader(hub(), {LEASE_UID: west(**{"/api/v1/nodes": lambda: next(nodes)})}, None)
    for part in ("allocatable", "capacity"):
        weak["status"][part] = {"nvidia.com/gpu": "7"}
    weak["metadata"]["labels"]["nvidia.com/gpu.count"] = "7"

    first, second = [(await reader.read()).clusters[0].nodes[0] for _ in range(2)]
    assert (first.gpus, first.is_steady) == (8, True)
    assert (second.gpus, second.is_steady) == (8, False)
