"""A leased cluster's kubeconfig is hostile input: parsed against an allow-list, never handed to a loader.

Accepted: one cluster with an https server and an inline CA, one user with a token or an inline client certificate.
Everything else (exec and auth plugins, files of *our* file system, skipped verification, proxies, impersonation)
is refused with the field's name and never its value. Host names are resolved when the connection is made, so the
check on addresses here is for literal ones, in a spelling that leaves no doubt (`sublet.fleet.hosts`);
`sublet.kube.addresses` looks again at what a name resolves to.
"""

import base64
import binascii
import re
import ssl
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlsplit

from sublet.fleet.hosts import fault_of
from sublet.kube.addresses import is_local_address
from sublet.kube.documents import read_yaml
from sublet.kube.session import Endpoint, tls_context

MAX_BYTES: Final = 64 * 1024
"""Ten times a kubeconfig with certificates; parsing costs time, and a landlord could spend ours."""
_CLUSTER_FIELDS: Final = {"server", "certificate-authority-data", "tls-server-name"}
_USER_FIELDS: Final = {"token", "client-certificate-data", "client-key-data"}
_PLAIN: Final = re.compile("[!-~]+")
_MORE: Final = frozenset("?#\\")
"""What ends a host, or does so for some."""
_IGNORED: Final = {"extensions"}
_WHY: Final[Mapping[str, str]] = {  # refused field -> what to do instead
    "exec": "it would run a program in the operator; use a token (sublet onboard makes one)",
    "auth-provider": "it would run a program in the operator; use a token (sublet onboard makes one)",
    "tokenFile": "it names a file of the operator's machine; put the token itself in `token`",
    "certificate-authority": "it names a file; use certificate-authority-data",
    "client-certificate": "it names a file; use client-certificate-data",
    "client-key": "it names a file; use client-key-data",
    "insecure-skip-tls-verify": "the server must be verified; give certificate-authority-data",
    "proxy-url": "proxies aren't supported",
    "username": "basic authentication isn't supported; use a token",
    "password": "basic authentication isn't supported; use a token",
}


class KubeconfigRefused(ValueError):
    """The kubeconfig isn't one that Sublet uses; `field` and the message are safe to show."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field


def parse_kubeconfig(data: bytes, *, allow_local: bool, hub_servers: Collection[str]) -> Endpoint:
    """Return the endpoint that a kubeconfig's current context names; KubeconfigRefused says why not."""
    config = _load(data)
    context = _named(
        config, "contexts", _text(config, "current-context", "current-context"), "context"
    )
    cluster = _named(
        config, "clusters", _text(context, "cluster", "contexts[].context.cluster"), "cluster"
    )
    user = _named(config, "users", _text(context, "user", "contexts[].context.user"), "user")
    _only(cluster, _CLUSTER_FIELDS, "clusters[].cluster")
    _only(user, _USER_FIELDS, "users[].user")
    server = _server(cluster, allow_local=allow_local, hub_servers=hub_servers)
    token = _optional(user, "token", "users[].user.token")
    certificate = _pem(user, "client-certificate-data", "users[].user", "CERTIFICATE")
    key = _pem(user, "client-key-data", "users[].user", "PRIVATE KEY")
    if (certificate is None) != (key is None):
        raise KubeconfigRefused(
            "users[].user", "client-certificate-data and client-key-data go together"
        )
    if (token is None) == (certificate is None):
        raise KubeconfigRefused(
            "users[].user", "give exactly one of token and client-certificate-data"
        )
    if token is not None and not (token.isascii() and token.isprintable() and " " not in token):
        raise KubeconfigRefused("users[].user.token", "is not a token")
    authority = _pem(cluster, "certificate-authority-data", "clusters[].cluster", "CERTIFICATE")
    if authority is None:
        raise KubeconfigRefused(
            "clusters[].cluster.certificate-authority-data", "is missing; the CA must be inline"
        )
    endpoint = Endpoint(
        server=server,
        ca_pem=authority,
        token=(lambda: token) if token is not None else None,
        client_cert_pem=certificate,
        client_key_pem=key,
        tls_server_name=_tls_server_name(cluster),
    )
    _try_certificates(endpoint)
    return endpoint


def _try_certificates(endpoint: Endpoint) -> None:
    try:
        tls_context(replace(endpoint, client_cert_pem=None, client_key_pem=None))
    except (ssl.SSLError, ValueError):
        where = "clusters[].cluster.certificate-authority-data"
        raise KubeconfigRefused(where, "holds no certificate that can be used") from None
    try:
        tls_context(endpoint)
    except (ssl.SSLError, ValueError):
        raise KubeconfigRefused(
            "users[].user",
            "client-certificate-data and client-key-data can't be used together "
            "(a key with a passphrase can't be used at all)",
        ) from None


def _load(data: bytes) -> Mapping[str, Any]:
    if len(data) > MAX_BYTES:
        raise KubeconfigRefused("", f"is larger than {MAX_BYTES} bytes")
    if b"&" in data or b"*" in data:
        raise KubeconfigRefused("", "YAML anchors and aliases aren't allowed")
    try:
        config = read_yaml(data)
    except ValueError:
        raise KubeconfigRefused("", "is not YAML") from None
    if not isinstance(config, dict) or config.get("kind") != "Config":
        raise KubeconfigRefused("kind", "must be Config")
    return config


def _named(config: Mapping[str, Any], section: str, name: str, inner: str) -> Mapping[str, Any]:
    entries = config.get(section)
    if not isinstance(entries, list):
        raise KubeconfigRefused(section, "is missing")
    found = [e for e in entries if isinstance(e, dict) and e.get("name") == name]
    if len(found) != 1 or not isinstance(found[0].get(inner), dict):
        raise KubeconfigRefused(section, "must hold the named entry exactly once")
    entry: Mapping[str, Any] = found[0][inner]
    return entry


def _only(entry: Mapping[str, Any], allowed: set[str], where: str) -> None:
    for field in entry:
        if field in allowed or field in _IGNORED:
            continue
        if isinstance(field, str) and (field in _WHY or field.replace("-", "").isalnum()):
            why = _WHY.get(field, "isn't supported")
            raise KubeconfigRefused(f"{where}.{field[:64]}", why)
        raise KubeconfigRefused(where, "has a field that isn't supported")


def _server(cluster: Mapping[str, Any], *, allow_local: bool, hub_servers: Collection[str]) -> str:
    where = "clusters[].cluster.server"
    server = _text(cluster, "server", where).rstrip("/")
    # a URL library may drop or replace what isn't plain, and see another host
    if not _PLAIN.fullmatch(server):
        raise KubeconfigRefused(where, "must be https://host[:port] of plain ASCII characters")
    try:
        url = urlsplit(server)
        host, port = url.hostname, url.port
    except ValueError:
        raise KubeconfigRefused(where, "is not a URL") from None
    if url.scheme != "https":
        raise KubeconfigRefused(where, "must begin with https://")
    if not host or "@" in url.netloc or not _MORE.isdisjoint(server):
        raise KubeconfigRefused(where, "must be https://host[:port] and nothing more")
    if fault := fault_of(host):
        raise KubeconfigRefused(where, fault)
    if (host, port or 443) in {_host_port(hub) for hub in hub_servers}:
        raise KubeconfigRefused(where, "is the hub itself; a lease needs a cluster of its own")
    if not allow_local and (
        is_local_address(host) or host == "localhost" or host.endswith(".localhost")
    ):
        raise KubeconfigRefused(where, "is a loopback or link-local address")
    return server


def _tls_server_name(cluster: Mapping[str, Any]) -> str | None:
    where = "clusters[].cluster.tls-server-name"
    name = _optional(cluster, "tls-server-name", where)
    if name is not None and (fault := fault_of(name)):
        raise KubeconfigRefused(where, fault)
    return name


def _host_port(server: str) -> tuple[str | None, int]:
    url = urlsplit(server)
    return url.hostname, url.port or 443


def _text(entry: Mapping[str, Any], field: str, where: str) -> str:
    value = entry.get(field)
    if not isinstance(value, str) or not value:
        raise KubeconfigRefused(where, "is missing or not a text")
    return value


def _optional(entry: Mapping[str, Any], field: str, where: str) -> str | None:
    return _text(entry, field, where) if field in entry else None


def _pem(entry: Mapping[str, Any], field: str, where: str, kind: str) -> str | None:
    if field not in entry:
        return None
    try:
        text = base64.b64decode(_text(entry, field, f"{where}.{field}"), validate=True).decode(
            "ascii"
        )
    except (binascii.Error, ValueError):
        raise KubeconfigRefused(f"{where}.{field}", "is not base64 of a PEM text") from None
    if "-----BEGIN " not in text or f"{kind}-----" not in text:
        raise KubeconfigRefused(f"{where}.{field}", f"holds no PEM {kind.lower()}")
    return text
