"""Where the hub is and who we are there: in the cluster, or by the kubeconfig of the person or the test.

The hub's kubeconfig is our own user's, so the full loader of `kubernetes` may read it (exec plugins, files);
leased clusters' kubeconfigs never come this way, see `sublet.fleet.kubeconfig`.
"""

import asyncio
import base64
import binascii
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from kubernetes.aio import client
from kubernetes.aio.config.config_exception import ConfigException
from kubernetes.aio.config.kube_config import KubeConfigLoader, KubeConfigMerger

from sublet.kube.acting import Unsupported, acting_as
from sublet.kube.documents import read_yaml
from sublet.kube.endpoint import Endpoint
from sublet.kube.login import Login

_POD: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_TOKEN_REREAD_SECONDS: Final = 60.0
_BROKEN: Final = "no usable kubeconfig: "
_MEND: Final = "set KUBECONFIG or --context"


async def hub_endpoint(
    *, kubeconfig: str | None = None, context: str | None = None, mend: str = _MEND
) -> Endpoint:
    """Return the hub's endpoint: the pod's own if there is one, else a kubeconfig's.

    Raises ValueError with what to do (`mend`) if neither can be read.
    """
    if kubeconfig is None and context is None and (_POD / "token").exists():
        return in_cluster_endpoint()
    given = kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"
    name, found = await _load(given, context, mend)
    if found.token is None:
        return found
    # by its name: another context may be the current one when a token is taken anew
    login = Login(found.token(), partial(_take, found, partial(_load, given, name, mend)))
    return replace(found, token=login.token, renew=login.renew)


async def _take(first: Endpoint, load: Callable[[], Awaitable[tuple[str, Endpoint]]]) -> str:
    """Return a token for the server that was found first; ValueError if there is none, but for another server, say."""
    _, fresh = await load()
    if fresh.token is None or _place(fresh) != _place(first):
        raise ValueError(f"{_BROKEN}it has no token any more for {first.server} as it was")
    return fresh.token()


def _place(endpoint: Endpoint) -> tuple[object, ...]:
    """Return whom a token is shown to, and in whose name."""
    return (
        endpoint.server,
        endpoint.ca_pem,
        endpoint.tls_server_name,
        endpoint.proxy,
        endpoint.acting_as,
    )


async def _load(given: str, context: str | None, mend: str) -> tuple[str, Endpoint]:
    """Return a context's name and what it leads to, with the token that its program or file gives now."""
    _check_there(given, mend)
    settings = client.Configuration()
    try:
        loader = await _loader(given, context)
        # the library keeps to itself what it has found
        user, cluster = _fields(loader._user), _fields(loader._cluster)  # noqa: SLF001  see above
        name = _fields(loader._current_context)["name"]  # noqa: SLF001  see above
        others, proxy = acting_as(user), _proxy(cluster)
        _check_verified(cluster)
        await loader.load_and_set(settings)
    except binascii.Error:
        raise _garbled(given, mend) from None
    except (ConfigException, OSError, Unsupported) as error:
        raise ValueError(f"{_BROKEN}{error}; {mend}") from error
    except Exception as error:  # noqa: BLE001  what the library stumbles over may hold the file's own words
        raise ValueError(f"{_BROKEN}{type(error).__name__} in {given}; {mend}") from None
    try:
        ca, certificate, key = map(
            _read, (settings.ssl_ca_cert, settings.cert_file, settings.key_file)
        )
    except UnicodeDecodeError:
        raise _garbled(given, mend) from None
    bearer = settings.api_key.get("BearerToken", "") or settings.api_key.get("authorization", "")
    token = bearer.removeprefix("Bearer ")
    return name, Endpoint(
        server=settings.host,
        ca_pem=ca,
        token=(lambda: token) if token else None,
        client_cert_pem=certificate,
        client_key_pem=key,
        tls_server_name=settings.tls_server_name,
        acting_as=others,
        proxy=proxy,
    )


async def _loader(paths: str, context: str | None) -> Any:
    """Return what reads a context, before a program is run for its credential. Of many clusters it is a second's work."""
    merged: Any = await asyncio.to_thread(KubeConfigMerger, paths)
    return KubeConfigLoader(merged.config, context, config_base_path=None)  # type: ignore[no-untyped-call]  # the library has no types here


def _fields(node: Any) -> dict[str, Any]:
    """Return what an entry of a kubeconfig says; a context may name no user."""
    return node.value if node is not None else {}


def _proxy(cluster: dict[str, Any]) -> str | None:
    """Return what a cluster is gone through to; Unsupported, without a word of it, where it isn't HTTP."""
    url = str(cluster.get("proxy-url") or "")
    try:
        parts = urlsplit(url)
        is_fit = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        is_fit = False
    if url and not is_fit:
        raise Unsupported(
            "proxy-url of a cluster must begin with http:// or https:// and name a host (SOCKS isn't supported)"
        )
    return url or None


def _check_verified(cluster: dict[str, Any]) -> None:
    """Raise Unsupported if anybody may answer in a cluster's place."""
    if cluster.get("insecure-skip-tls-verify"):
        raise Unsupported(
            "insecure-skip-tls-verify of a cluster isn't supported: take it out, and put the server's CA into "
            "certificate-authority-data"
        )


def in_cluster_endpoint(
    folder: Path = _POD, server: str = "https://kubernetes.default.svc"
) -> Endpoint:
    """Return the endpoint of the cluster that this pod runs in."""
    return Endpoint(
        server=server, ca_pem=(folder / "ca.crt").read_text(), token=_TokenFile(folder / "token")
    )


def _check_there(paths: str, mend: str) -> None:
    """Raise ValueError if none of these files is there: the loader logs a warning, and misses what an empty one lacks."""
    if not any(Path(each).expanduser().exists() for each in paths.split(os.pathsep) if each):
        raise ValueError(f"{_BROKEN}there is none at {paths}; {mend}")


def _garbled(paths: str, mend: str) -> ValueError:
    """Name the first field that can't be read: the library says only that there is one."""
    for path in (Path(each).expanduser() for each in paths.split(os.pathsep) if each):
        for place, value in _encoded(path):
            try:
                base64.standard_b64decode(value).decode()
            except ValueError:
                return ValueError(f"{_BROKEN}{place} in {path} is not base64 of a PEM text; {mend}")
    return ValueError(f"{_BROKEN}a certificate or key that {paths} names is no PEM text; {mend}")


def _encoded(path: Path) -> Iterator[tuple[str, str]]:
    """Yield what a kubeconfig holds in base64, each with its place."""
    config = read_yaml(path.read_bytes()) if path.exists() else None
    for kind in ("cluster", "user"):
        entries = config.get(f"{kind}s") if isinstance(config, dict) else None
        for entry in entries if isinstance(entries, list) else ():
            fields = entry.get(kind) if isinstance(entry, dict) else None
            for field, value in fields.items() if isinstance(fields, dict) else ():
                if str(field).endswith("-data") and isinstance(value, str):
                    yield f"{field} of {kind} {entry.get('name')}", value


class _TokenFile:
    """A token that the kubelet renews in place; read again once a minute."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._text = ""
        self._read_at = float("-inf")

    def __call__(self) -> str:
        if time.monotonic() - self._read_at > _TOKEN_REREAD_SECONDS:
            self._text = self._path.read_text().strip()
            self._read_at = time.monotonic()
        return self._text


def _read(path: str | None) -> str | None:
    return Path(path).read_text() if path else None
