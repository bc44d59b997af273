"""A claim's Secret as one that Argo CD reads as a cluster, too: what is added to it. Pure.

Argo CD reads Secrets with a label in its own namespace, of any type, so this is the same Secret with more in it: only for
claims in the namespace that the platform names as Argo CD's (`SUBLET_ARGOCD_NAMESPACE`). Nothing else is written for it, and no
right and no policy differs.

Argo CD knows a cluster by its URL, and several claims may have nodes in one leased cluster. So each has the claim's UID
as a query in its URL, which every client built on client-go leaves out of its requests (rest.NewRESTClient).
"""

import base64
import json
from typing import Any, Final

from sublet.kube.session import Endpoint

LABELS: Final = {"argocd.argoproj.io/secret-type": "cluster"}
CLAIM_LABEL: Final = "sublet.dev/claim"
"""UID of the claim: what an ApplicationSet selects by."""
NAMESPACE_ANNOTATION: Final = "sublet.dev/namespace"
"""Where in the cluster the claim's work goes, for an ApplicationSet's template."""


def as_cluster(
    secret: dict[str, Any], *, claim: str, uid: str, endpoint: Endpoint, namespace: str, token: str
) -> dict[str, Any]:
    """Return the Secret with what Argo CD reads of a cluster; the kubeconfig stays in it."""
    meta, server = secret["metadata"], f"{endpoint.server}?claim={uid}"
    entry = {
        "name": f"sublet-{claim}",  # a claim may be called in-cluster
        "server": server,
        "config": _config(endpoint, token),
        # namespaced mode: the tenant's rights are in this namespace, and Argo CD asks for nothing beyond
        "namespaces": namespace,
        "clusterResources": "false",
    }
    data = {key: base64.b64encode(text.encode()).decode() for key, text in entry.items()}
    return {
        **secret,
        "metadata": {
            **meta,
            "labels": {**LABELS, CLAIM_LABEL: uid},
            "annotations": {NAMESPACE_ANNOTATION: namespace},
        },
        "data": {**secret["data"], **data},
    }


def _config(endpoint: Endpoint, token: str) -> str:
    tls: dict[str, Any] = {"insecure": False}
    if endpoint.ca_pem is not None:
        tls["caData"] = base64.b64encode(endpoint.ca_pem.encode()).decode()
    if endpoint.tls_server_name is not None:
        tls["serverName"] = endpoint.tls_server_name
    return json.dumps({"bearerToken": token, "tlsClientConfig": tls})
