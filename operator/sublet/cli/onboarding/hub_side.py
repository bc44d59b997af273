"""What the hub holds of a leased cluster: the Secret with its kubeconfig, and the leases that refer to it.

Looked at before anything is changed: a mistyped --name must never overwrite or delete another cluster's access.
"""

import base64
import binascii
from typing import Any

from sublet.api.gpulease import GpuLease
from sublet.api.kinds import LEASES
from sublet.cli.connect import Cluster
from sublet.cli.onboarding.apply import read_or_none
from sublet.cli.onboarding.credential import CLUSTER_UID
from sublet.cli.onboarding.place import Pair, Place
from sublet.cli.problems import Problem
from sublet.fleet.credential import CREDENTIALS_LABEL
from sublet.kube.documents import read_yaml
from sublet.kube.errors import NotFound


async def require_namespace(hub: Cluster, namespace: str) -> None:
    """Raise Problem if the operator's namespace isn't on the hub."""
    if await read_or_none(hub, f"/api/v1/namespaces/{namespace}") is None:
        raise Problem(
            f"the hub has no namespace {namespace}: install Sublet there first, or check {hub.option} and --namespace"
        )


async def require_secret_fits(pair: Pair, place: Place) -> dict[str, Any] | None:
    """Return the cluster's Secret if there is one; Problem if the name is another's or the cluster has another name."""
    path = f"/api/v1/namespaces/{place.namespace}/secrets"
    where = f"Secret {place.namespace}/{place.name} on the hub"
    found = await read_or_none(pair.hub, f"{path}/{place.name}")
    if found is not None:
        uid, server = cluster_of(found), server_of(found)
        if not uid and CREDENTIALS_LABEL not in (found["metadata"].get("labels") or {}):
            raise Problem(f"{where} isn't one of onboarding's; give another --name")
        same = uid == pair.leased_uid if uid else server in ("", pair.leased.endpoint.server)
        if not same:
            raise Problem(
                f"{where} leads to another cluster ({server or uid}); check --name and --context"
            )
    for other in (await pair.hub.get(path, labelSelector=f"{CREDENTIALS_LABEL}=true"))["items"]:
        name = other["metadata"]["name"]
        if name != place.name and cluster_of(other) == pair.leased_uid:
            raise Problem(
                f"this cluster is onboarded as {name} already: give --name {name} (several leases may use one Secret)"
            )
    return found


async def leases_of(pair: Pair, place: Place) -> list[str]:
    """Return the names of the leases that use the Secret or live in the cluster; none where leases aren't known."""
    try:
        items = (await pair.hub.get(LEASES.path()))["items"]
    except NotFound:
        return []
    leases = [GpuLease.model_validate(item) for item in items]
    return [lease.metadata.name for lease in leases if _needs(lease, pair, place)]


def _needs(lease: GpuLease, pair: Pair, place: Place) -> bool:
    ref = lease.spec.cluster_ref
    if pair.leased_uid in (ref.cluster_uid, lease.status.cluster_uid):
        return True
    if ref.kubeconfig_secret_ref is None:
        return place.in_cluster
    return not place.in_cluster and ref.kubeconfig_secret_ref.name == place.name


def cluster_of(secret: dict[str, Any]) -> str:
    """Return the UID of the cluster that a Secret was made for; empty if it doesn't say."""
    return str((secret["metadata"].get("annotations") or {}).get(CLUSTER_UID, ""))


def server_of(secret: dict[str, Any]) -> str:
    """Return the address in a Secret's kubeconfig; empty if there is none to be read."""
    try:
        text = base64.b64decode((secret.get("data") or {}).get("kubeconfig", ""))
        return str(read_yaml(text)["clusters"][0]["cluster"]["server"])
    except (binascii.Error, ValueError, KeyError, IndexError, TypeError):
        return ""
