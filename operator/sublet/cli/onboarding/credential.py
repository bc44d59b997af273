"""The operator's credential in a leased cluster: long-lived, revocable, and as narrow as its role.

A Secret of type service-account-token: deleting it revokes the token, which the operator itself can't renew. It is
kept on the hub in the operator's namespace, labelled so that the operator finds it. A new one is made beside the old
one, which dies when the operator uses the new one, so that it is never locked out.
"""

import asyncio
import base64
from typing import Any, Final

import yaml

from sublet.cli.onboarding.apply import delete_if_there
from sublet.cli.onboarding.marks import marked
from sublet.cli.onboarding.place import ACCOUNT
from sublet.cli.problems import Problem
from sublet.fleet.credential import CREDENTIALS_LABEL
from sublet.kube.session import ApiServer
from sublet.manifests.render import Manifest

CLUSTER_UID: Final = "sublet.dev/cluster-uid"
"""On the hub's Secret: which cluster it leads to, whatever the address."""
_TOKEN_LABEL: Final = "sublet.dev/operator-token"  # noqa: S105  a label
_SHORT_SECONDS: Final = 600
_TRIES: Final = 100
_WAIT_SECONDS: Final = 0.1


async def take_token(api: ApiServer, namespace: str, *, rotate: bool) -> str:
    """Return the operator's newest token in the leased cluster; made if there is none or `rotate` asks for one."""
    path = f"/api/v1/namespaces/{namespace}/secrets"
    found = await token_secrets(api, namespace)
    if found and not rotate:
        name = found[-1]["metadata"]["name"]
    else:
        made = await api.create(path, _token_secret(namespace))
        name = made["metadata"]["name"]
    for _ in range(_TRIES):
        if text := _token_in(await api.get(f"{path}/{name}")):
            return text
        await asyncio.sleep(_WAIT_SECONDS)
    raise Problem("the leased cluster fills no token in; is its controller-manager running?")


async def ask_token(hub: ApiServer, namespace: str, account: str) -> str:
    """Return a short-lived token of an account, as the operator asks for its own on the hub."""
    answer = await hub.create(
        f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token",
        {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": _SHORT_SECONDS},
        },
    )
    return str(answer["status"]["token"])


async def revoke_others(api: ApiServer, namespace: str, token: str | None) -> int:
    """Delete every token but this one; return how many there were."""
    count = 0
    for secret in await token_secrets(api, namespace):
        if token is None or not holds(secret, token):
            meta = secret["metadata"]
            path = f"/api/v1/namespaces/{namespace}/secrets/{meta['name']}"
            count += await delete_if_there(api, path, meta["uid"])
    return count


def holds(secret: dict[str, Any], token: str) -> bool:
    """Say whether a Secret is the one with this token."""
    return _token_in(secret) == token


async def token_secrets(api: ApiServer, namespace: str) -> list[dict[str, Any]]:
    """Return the Secrets with the operator's tokens, oldest first."""
    path = f"/api/v1/namespaces/{namespace}/secrets"
    found: list[dict[str, Any]] = (await api.get(path, labelSelector=f"{_TOKEN_LABEL}=true"))[
        "items"
    ]
    return sorted(found, key=lambda s: (s["metadata"]["creationTimestamp"], s["metadata"]["name"]))


def kubeconfig(api: ApiServer, token: str) -> str:
    """Return the kubeconfig for the operator: https, inline CA, token, and nothing else."""
    if api.endpoint.ca_pem is None:
        raise Problem("the leased cluster's kubeconfig has no CA; give certificate-authority-data")
    authority = base64.b64encode(api.endpoint.ca_pem.encode()).decode()
    cluster: dict[str, Any] = {
        "server": api.endpoint.server,
        "certificate-authority-data": authority,
    }
    if api.endpoint.tls_server_name:
        cluster["tls-server-name"] = api.endpoint.tls_server_name
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "leased", "cluster": cluster}],
        "users": [{"name": "sublet", "user": {"token": token}}],
        "contexts": [{"name": "leased", "context": {"cluster": "leased", "user": "sublet"}}],
        "current-context": "leased",
    }
    return yaml.safe_dump(config, sort_keys=False)


def hub_secret(name: str, namespace: str, text: str, cluster_uid: str = "") -> Manifest:
    """Return the Secret in which the hub keeps a leased cluster's kubeconfig."""
    meta: dict[str, Any] = {
        "name": name,
        "namespace": namespace,
        "labels": {CREDENTIALS_LABEL: "true"},
    }
    if cluster_uid:
        meta["annotations"] = {CLUSTER_UID: cluster_uid}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": meta,
        "data": {"kubeconfig": base64.b64encode(text.encode()).decode()},
    }


def _token_secret(namespace: str) -> Manifest:
    return marked(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/service-account-token",
            "metadata": {
                "generateName": "sublet-credential-",
                "namespace": namespace,
                "annotations": {"kubernetes.io/service-account.name": ACCOUNT},
                "labels": {_TOKEN_LABEL: "true"},
            },
        }
    )


def _token_in(secret: dict[str, Any]) -> str:
    return base64.b64decode((secret.get("data") or {}).get("token", "")).decode()
