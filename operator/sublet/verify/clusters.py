"""Reads one leased cluster for the checker: nodes, then claim namespaces and what is in them, then pods.

Nodes before pods: a pod that is seen on a node was let there by what the node said before. What the credential may not
list is asked for by name where the name is known; the rest is said to be unchecked. A leased cluster's answers are
strangers': one that garbles anything is unknown as a whole, never an error of ours. So what is kept of it is of the type
that it says; whoever judges it asks no more.
"""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from sublet.api.common import find_condition
from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.ids import ClaimUID, ClusterUID, LeaseUID, NodeUID, TenantUID
from sublet.fleet.facts import OLDER_ONBOARDING
from sublet.fleet.nodebook import (
    BOOK,
    CLAIM_LABEL,
    GPU,
    LEASE_LABEL,
    LEAVING,
    LEAVING_TAINT,
    POOL_TAINT,
    SHARING,
    TENANT,
    claims_leaving,
    parse_unwiped,
)
from sublet.kube.errors import Forbidden, KubeError, NotFound
from sublet.kube.lists import objects_of
from sublet.verify.index import namespace_name
from sublet.verify.leaks import find_leaks
from sublet.verify.nodes import claim_of
from sublet.verify.world import (
    ClusterSeen,
    Leak,
    NamespaceSeen,
    NodeKey,
    NodeSeen,
    PodSeen,
    Unknown,
)

Json = dict[str, Any]

NAMESPACE_LABEL: Final = "sublet.dev/claim"
_RBAC: Final = "/apis/rbac.authorization.k8s.io/v1"
_PARTS: Final = {
    "has_policy": ("/apis/networking.k8s.io/v1", "networkpolicies", "sublet"),
    "has_account": ("/api/v1", "serviceaccounts", "tenant"),
    "has_binding": (_RBAC, "rolebindings", "sublet-tenant"),
}
"""field of NamespaceSeen -> (API, plural, name) of what a claim namespace has"""
_QUOTA: Final = "sublet"
_AT_ONCE: Final = 16


class Source(Protocol):
    """What is asked of a cluster; `ApiServer` fulfils it."""

    async def get(self, path: str, **params: str) -> Json:
        """Read one object or list."""


@dataclass(slots=True)
class Reading:
    """What came of reading one cluster."""

    cluster: ClusterSeen | None = None
    leaks: list[Leak] = field(default_factory=list)
    unknown: list[Unknown] = field(default_factory=list)
    unchecked: dict[str, str] = field(default_factory=dict)


async def read_cluster(
    api: Source,
    uid: ClusterUID,
    lease: GpuLease,
    claims: Iterable[GpuClaim],
    most: dict[NodeKey, int],
) -> Reading:
    """Read a lease's cluster with its credential; raises nothing of the cluster's.

    `most`: the most GPUs that each node was seen with, read and written.
    """
    name = lease.metadata.name
    reading = Reading(unchecked=_older_policies(lease))
    try:
        nodes = await _list(api, "/api/v1/nodes")
        namespaces = await _namespaces(api, _expected(claims), name, reading)
        pods = await _list(api, "/api/v1/pods")
        cluster = ClusterSeen(
            uid=uid,
            name=name,
            lease_uids=frozenset({LeaseUID(lease.metadata.uid)}),
            nodes=tuple(_node(raw, uid, most) for raw in nodes),
            namespaces=namespaces,
            pods=tuple(_pods(pods)),
        )
        reading.leaks = [*_node_leaks(name, nodes)]
        reading.cluster = cluster
    except (KubeError, OSError) as error:
        text = f"its cluster can't be read: {error}; see sublet doctor"
        reading.unknown.append(Unknown(f"lease {name}", text))
    except (AttributeError, KeyError, TypeError, ValueError):
        text = "its cluster answers with what no API server would; nothing is concluded from it"
        reading.unknown.append(Unknown(f"lease {name}", text))
    return reading


def _older_policies(lease: GpuLease) -> dict[str, str]:
    """Return what to say where a cluster's policies are of an older onboarding, by the operator's word."""
    said = find_condition(lease.status.conditions, "IsolationReady")
    if said is None or said.reason != OLDER_ONBOARDING:
        return {}
    text = "whether anything is there that this version's refuse; they are of an older onboarding, run `sublet onboard` for it again"
    return {f"policies of {lease.metadata.name}": text}


def _expected(claims: Iterable[GpuClaim]) -> list[str]:
    """Return the namespaces that claims of the hub may have anywhere, those of earlier reservations included."""
    names = []
    for claim in claims:
        allocation, move = claim.status.allocation, claim.status.move
        last = max(
            allocation.sequence if allocation is not None else 0,
            claim.status.last_sequence or 0,
            move.sequence if move is not None else 0,
        )
        oldest = min(
            [last, *(p.home for p in allocation.placements if p.home)] if allocation else [last]
        )
        names += [
            namespace_name(claim.metadata.uid, n) for n in range(max(1, oldest - 1), last + 1)
        ]
    return names


async def _list(api: Source, path: str, **params: str) -> list[Json]:
    return objects_of(await api.get(path, **params), path)


async def _namespaces(
    api: Source, expected: list[str], cluster: str, reading: Reading
) -> tuple[NamespaceSeen, ...] | None:
    try:
        raw = await _list(api, "/api/v1/namespaces", labelSelector=NAMESPACE_LABEL)
    except Forbidden:
        reading.unchecked[f"namespaces of {cluster}"] = (
            "S9 and L3 of namespaces whose claim the hub doesn't know; the lease's credential may not list them, "
            "give --cluster LEASE=CONTEXT to read with your own"
        )
        raw = [found for found in await _by_name(api, expected) if found is not None]
    quotas = await _quotas(api, [_text(r["metadata"]["name"]) for r in raw])
    there = await _parts(api, cluster, reading)
    return tuple(_namespace(r, quotas, there) for r in raw)


async def _by_name(api: Source, names: list[str]) -> list[Json | None]:
    slots = asyncio.Semaphore(_AT_ONCE)

    async def look(name: str) -> Json | None:
        async with slots:
            try:
                return await api.get(f"/api/v1/namespaces/{name}")
            except NotFound:
                return None

    return list(await asyncio.gather(*(look(name) for name in names)))


async def _quotas(api: Source, names: list[str]) -> dict[str, Json | None]:
    """Return each namespace's quota: all in one list, or one by one if that isn't allowed."""
    try:
        found = await _list(api, "/api/v1/resourcequotas", fieldSelector=f"metadata.name={_QUOTA}")
    except Forbidden:
        paths = [f"{name}/resourcequotas/{_QUOTA}" for name in names]
        return dict(zip(names, await _by_name(api, paths), strict=True))
    listed = {q["metadata"]["namespace"]: q for q in found}
    return {name: listed.get(name) for name in names}


async def _parts(api: Source, cluster: str, reading: Reading) -> dict[str, set[str] | None]:
    """Return in which namespaces the other parts are: field -> names, None where they can't be listed."""
    found: dict[str, set[str] | None] = {}
    for part, (group, plural, name) in _PARTS.items():
        try:
            items = await _list(api, f"{group}/{plural}", fieldSelector=f"metadata.name={name}")
        except Forbidden:
            found[part] = None
            reading.unchecked[f"{plural} of {cluster}"] = (
                "S4 and S5 of them; the lease's credential may not read them, give --cluster LEASE=CONTEXT to read with your own"
            )
        else:
            found[part] = {
                i["metadata"]["namespace"] for i in items if i["metadata"]["name"] == name
            }
    return found


def _namespace(
    raw: Json, quotas: dict[str, Json | None], there: dict[str, set[str] | None]
) -> NamespaceSeen:
    meta = raw["metadata"]
    name, quota = meta["name"], quotas.get(meta["name"])
    hard = _texts((quota or {}).get("spec") or {}, "hard")
    live = _texts((quota or {}).get("status") or {}, "hard")
    label = _texts(meta, "labels").get(NAMESPACE_LABEL)
    has = {part: name in names if names is not None else None for part, names in there.items()}
    return NamespaceSeen(
        name=name,
        claim_uid=ClaimUID(label) if label else None,
        is_ending=bool(meta.get("deletionTimestamp")),
        has_quota=quota is not None,
        quota_gpus=_number(hard.get(f"requests.{GPU}")) if f"requests.{GPU}" in hard else None,
        is_quota_live=hard == live if quota is not None else None,
        **has,
    )


def _node(raw: Json, cluster_uid: ClusterUID, most: dict[NodeKey, int]) -> NodeSeen:
    meta, spec, status = raw["metadata"], raw.get("spec") or {}, raw.get("status") or {}
    labels, notes = _texts(meta, "labels"), _texts(meta, "annotations")
    taints = [t for t in spec.get("taints") or () if t.get("effect") == "NoSchedule"]
    shown = [(status.get(part) or {}).get(GPU) for part in ("allocatable", "capacity")]
    counts = {_number(n) for n in (*shown, labels.get(f"{GPU}.count"))}
    uid = NodeUID(_text(meta["uid"]))
    key = (cluster_uid, uid)
    most[key] = max([*counts, most.get(key, 0)])
    return NodeSeen(
        name=_text(meta["name"]),
        uid=uid,
        gpus=most[key],
        is_steady=counts == {most[key]},
        lease_uid=LeaseUID(labels[LEASE_LABEL]) if LEASE_LABEL in labels else None,
        pool=next(
            (_text(t.get("value") or "") for t in taints if t.get("key") == POOL_TAINT), None
        ),
        book=notes.get(BOOK),
        claim_labels=frozenset(
            ClaimUID(key.removeprefix(CLAIM_LABEL)) for key in labels if key.startswith(CLAIM_LABEL)
        ),
        tenant_uid=TenantUID(notes[TENANT]) if notes.get(TENANT) else None,
        sharing=notes.get(SHARING),
        leaving=claims_leaving(labels)
        | {ClaimUID(uid) for uid in notes.get(LEAVING, "").split(",") if uid},
        unwiped=frozenset(parse_unwiped(notes)),
        is_shunned=any(t.get("key") == LEAVING_TAINT for t in taints),
    )


def _pods(items: list[Json]) -> Iterator[PodSeen]:
    for raw in items:
        meta, node = raw["metadata"], (raw.get("spec") or {}).get("nodeName")
        over = (raw.get("status") or {}).get("phase") in ("Succeeded", "Failed")
        if node and not over and claim_of(namespace := _text(meta["namespace"])) is not None:
            yield PodSeen(namespace, _text(meta["name"]), _text(node))


def _node_leaks(cluster: str, nodes: list[Json]) -> Iterator[Leak]:
    for raw in nodes:
        notes = _texts(raw["metadata"], "annotations").items()
        for kind in find_leaks("\n".join(v for k, v in notes if k.startswith("sublet.dev/"))):
            yield Leak(f"node {cluster}/{raw['metadata']['name']}", "annotations", kind)


def _texts(part: Json, field: str) -> dict[str, str]:
    """Return a map of texts; TypeError or AttributeError if it is something else."""
    return {key: _text(value) for key, value in (part.get(field) or {}).items()}


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _number(text: object) -> int:
    return int(text) if isinstance(text, str) and text.isdecimal() else 0
