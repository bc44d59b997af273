"""How `sublet verify` reaches leased clusters: as the operator would, or with the person's own contexts. Reads only.

A lease's kubeconfig is a stranger's and goes through the same allow-list as in the operator.
"""

import base64
import binascii
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from sublet.api.ids import LeaseUID
from sublet.api.kinds import LEASES
from sublet.api.origin import former_uid
from sublet.cli.connect import LIMITS, Cluster, connect
from sublet.cli.objects import list_raw
from sublet.cli.onboarding.reach import read_endpoint
from sublet.cli.problems import Problem
from sublet.fleet.credential import CREDENTIALS_LABEL
from sublet.fleet.kubeconfig import KubeconfigRefused
from sublet.kube.errors import KubeError, NotFound
from sublet.kube.session import ApiServer, Endpoint

Json = dict[str, Any]


def parse_contexts(texts: Sequence[str]) -> dict[str, str]:
    """Return what `--cluster LEASE=CONTEXT` says; Problem if a text isn't so."""
    found = {}
    for text in texts:
        lease, _, context = text.partition("=")
        if not lease or not context:
            raise Problem(f"--cluster {text} isn't LEASE=CONTEXT")
        found[lease] = context
    return found


@asynccontextmanager
async def leased_clusters(
    hub: Cluster, namespace: str, contexts: Mapping[str, str]
) -> AsyncIterator[tuple[dict[LeaseUID, ApiServer], dict[LeaseUID, str]]]:
    """Yield a way to each lease's cluster, and why there is none for the others."""
    leases = await list_raw(hub, LEASES.path())
    names = {str(lease["metadata"]["name"]) for lease in leases}
    if strange := sorted(set(contexts) - names):
        raise Problem(f"the hub has no GpuLease {strange[0]}; check --cluster")
    clusters: dict[LeaseUID, ApiServer] = {}
    missing: dict[LeaseUID, str] = {}
    async with AsyncExitStack() as stack:
        for lease in leases:
            uid, name = LeaseUID(former_uid(lease)), str(lease["metadata"]["name"])
            if name in contexts:
                clusters[uid] = await stack.enter_async_context(
                    connect(contexts[name], f"the cluster of lease {name}", "--cluster")
                )
                continue
            found = await _credential(hub, lease, namespace)
            if isinstance(found, str):
                missing[uid] = found
            else:
                clusters[uid] = found
                if found is not hub:
                    stack.push_async_callback(found.close)
        yield clusters, missing


async def _credential(hub: Cluster, lease: Json, namespace: str) -> ApiServer | str:
    """Return a connection by the lease's credential, as the operator would accept it, or why there is none."""
    ref = (lease.get("spec") or {}).get("clusterRef") or {}
    if "inCluster" in ref:
        return hub  # read with the person's own rights: a token would have to be made
    named = ref.get("kubeconfigSecretRef") or {}
    name, key = str(named.get("name")), str(named.get("key") or "kubeconfig")
    where, again = f"Secret {namespace}/{name}", f"run sublet onboard --name {name}"
    try:
        secret = await hub.get(f"/api/v1/namespaces/{namespace}/secrets/{name}")
    except NotFound:
        return f"{where} isn't on the hub; {again}"
    except KubeError as error:
        return f"{where} can't be read: {error}; you need the right to get it"
    found = _endpoint(secret, key)
    return f"{where} {found}; {again}" if isinstance(found, str) else ApiServer(found, LIMITS)


def _endpoint(secret: Json, key: str) -> Endpoint | str:
    """Return where a lease's Secret leads, or what is wrong with it."""
    if CREDENTIALS_LABEL not in (secret["metadata"].get("labels") or {}):
        return f"lacks the label {CREDENTIALS_LABEL}"
    try:
        return read_endpoint(base64.b64decode((secret.get("data") or {})[key], validate=True))
    except KubeconfigRefused as refusal:
        return f"has a kubeconfig that is refused: {refusal}"
    except (KeyError, TypeError, binascii.Error):
        return f"has no key {key} with a kubeconfig"
