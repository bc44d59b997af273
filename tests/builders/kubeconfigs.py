"""Kubeconfigs as landlords send them, for tests of what the operator takes of them."""

import base64
from typing import Any

import yaml

from sublet.fleet.kubeconfig import parse_kubeconfig
from sublet.kube.session import Endpoint
from tests.builders.pem import certificate_and_key

CERTIFICATE, KEY = certificate_and_key()
HUB = "https://10.0.0.1:6443"


def b64(text: str) -> str:
    """Return a text in base64, as kubeconfigs hold PEM."""
    return base64.b64encode(text.encode()).decode()


PEM = b64(CERTIFICATE)


def config(*, cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None) -> bytes:
    """Return a kubeconfig that is accepted, but for these fields."""
    base = {"server": "https://west.example:6443", "certificate-authority-data": PEM}
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "clusters": [{"name": "k", "cluster": {**base, **(cluster or {})}}],
            "users": [
                {"name": "u", "user": user if user is not None else {"token": "secret-token"}}
            ],
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        }
    ).encode()


def parse(data: bytes, *, allow_local: bool = False) -> Endpoint:
    """Return where a landlord's kubeconfig leads."""
    return parse_kubeconfig(data, allow_local=allow_local, hub_servers=[HUB])
