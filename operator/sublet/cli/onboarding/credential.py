"""The operator's credential in a leased cluster: long-lived, revocable, and as narrow as its role.

A Secret of type service-account-token: deleting it revokes the token, which the operator itself can't renew. It is
kept on the hub in the operator's namespace, labelled so that the operator finds it.
"""

import asyncio
import base64
import contextlib
from typing import Any, Final

import yaml

from sublet.cli.onboarding.apply import path_of, read_or_none
from sublet.cli.problems import Problem
from sublet.kube.errors import NotFound
from sublet.kube.session import ApiServer
from sublet.manifests.render import Manifest

TOKEN_SECRET: Final = "sublet-credential"  # noqa: S105  a name
CREDENTIALS_LABEL: Final = "sublet.dev/cluster-credentials"
_TRIES: Final = 100
_WAIT_SECONDS: Final = 0.1


async def take_token(api: ApiServer, namespace: str, *, rotate: bool) -> str:
    """Return the operator's token in the leased cluster, made if it isn't there or `rotate` asks for a new one."""
    manifest: Manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/service-account-token",
        "metadata": {
            "name": TOKEN_SECRET,
            "namespace": namespace,
            "annotations": {"kubernetes.io/service-account.name": "sublet"},
        },
    }
    path = path_of(manifest)
    if rotate:
        with contextlib.suppress(NotFound):
            await api.delete(path)
    if await read_or_none(api, path) is None:
        await api.create(path.rsplit("/", 1)[0], manifest)
    for _ in range(_TRIES):
        secret = await api.get(path)
        token = (secret.get("data") or {}).get("token")
        if token:
            return base64.b64decode(token).decode()
        await asyncio.sleep(_WAIT_SECONDS)
    raise Problem("the leased cluster fills no token in; is its controller-manager running?")


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


def hub_secret(name: str, namespace: str, text: str) -> Manifest:
    """Return the Secret in which the hub keeps a leased cluster's kubeconfig."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {"name": name, "namespace": namespace, "labels": {CREDENTIALS_LABEL: "true"}},
        "data": {"kubeconfig": base64.b64encode(text.encode()).decode()},
    }
