"""`sublet backup FILE`: reads the hub's objects and where the ledger is, writes one file.

The ledger itself is in a database and backed up as databases are; its position here tells after a restore whether the
two belong together. Tenants' kubeconfigs aren't in it: the operator makes them anew.
"""

from typing import Any

from sublet.api.kinds import KINDS
from sublet.api.names import API_VERSION
from sublet.api.times import Millis
from sublet.cli.connect import Cluster
from sublet.cli.keeping.archive import Archive, Position, kept
from sublet.cli.objects import list_raw
from sublet.cli.problems import Problem
from sublet.fleet.credential import CREDENTIALS_LABEL
from sublet.kube.errors import NotFound
from sublet.kube.identity import read_cluster_uid


async def collect(
    hub: Cluster, now_ms: Millis, ledger: Position | None, *, secrets_of: str | None
) -> Archive:
    """Read everything; with `secrets_of`, the operator's namespace, the leased clusters' credentials too."""
    items = [kept(item) for kind in KINDS for item in await _list(hub, kind.path(), kind.name)]
    names = sorted({o["metadata"]["namespace"] for o in items if "namespace" in o["metadata"]})
    return Archive(
        hub_uid=await read_cluster_uid(hub),
        taken_ms=now_ms,
        ledger=ledger,
        namespaces=tuple([await _namespace(hub, name) for name in names]),
        objects=tuple(items),
        credentials=tuple(await _credentials(hub, secrets_of) if secrets_of else ()),
    )


async def _list(hub: Cluster, path: str, kind: str) -> list[dict[str, Any]]:
    try:
        items = await list_raw(hub, path)
    except NotFound:
        raise Problem(
            f"the hub doesn't know {kind}; is Sublet installed there (--context)?"
        ) from None
    return [{**item, "apiVersion": API_VERSION, "kind": kind} for item in items]


async def _namespace(hub: Cluster, name: str) -> dict[str, Any]:
    found = await hub.get(f"/api/v1/namespaces/{name}")
    meta = {"name": name, "labels": found["metadata"].get("labels") or {}}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": meta}


async def _credentials(hub: Cluster, namespace: str) -> list[dict[str, Any]]:
    path = f"/api/v1/namespaces/{namespace}/secrets"
    found = (await hub.get(path, labelSelector=f"{CREDENTIALS_LABEL}=true"))["items"]
    return [kept({**item, "apiVersion": "v1", "kind": "Secret"}) for item in found]
