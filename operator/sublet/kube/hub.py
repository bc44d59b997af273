"""Where the hub is and who we are there: in the cluster, or by the kubeconfig of the person or the test.

The hub's kubeconfig is our own user's, so the full loader of `kubernetes` may read it (exec plugins, files);
leased clusters' kubeconfigs never come this way, see `sublet.fleet.kubeconfig`.
"""

import os
import time
from pathlib import Path
from typing import Final

from kubernetes.aio import client, config
from kubernetes.aio.config.config_exception import ConfigException

from sublet.kube.session import Endpoint

_POD: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_TOKEN_REREAD_SECONDS: Final = 60.0
_MEND: Final = "set KUBECONFIG or --context"


async def hub_endpoint(*, kubeconfig: str | None = None, context: str | None = None) -> Endpoint:
    """Return the hub's endpoint: the pod's own if there is one, else a kubeconfig's.

    Raises ValueError with what to do if neither can be read.
    """
    if kubeconfig is None and context is None and (_POD / "token").exists():
        return in_cluster_endpoint()
    given = kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"
    _check_there(given)
    settings = client.Configuration()
    try:
        await config.load_kube_config(  # type: ignore[no-untyped-call]  # the library has no types here
            config_file=given, context=context, client_configuration=settings
        )
    except (ConfigException, OSError, TypeError) as error:
        raise ValueError(f"no usable kubeconfig: {error}; {_MEND}") from error
    except Exception as error:  # noqa: BLE001  what the library stumbles over may hold the file's own words
        raise ValueError(
            f"no usable kubeconfig: {type(error).__name__} in {given}; {_MEND}"
        ) from None
    bearer = settings.api_key.get("BearerToken", "") or settings.api_key.get("authorization", "")
    token = bearer.removeprefix("Bearer ")
    return Endpoint(
        server=settings.host,
        ca_pem=_read(settings.ssl_ca_cert),
        token=(lambda: token) if token else None,
        client_cert_pem=_read(settings.cert_file),
        client_key_pem=_read(settings.key_file),
        tls_server_name=settings.tls_server_name,
    )


def in_cluster_endpoint(
    folder: Path = _POD, server: str = "https://kubernetes.default.svc"
) -> Endpoint:
    """Return the endpoint of the cluster that this pod runs in."""
    return Endpoint(
        server=server, ca_pem=(folder / "ca.crt").read_text(), token=_TokenFile(folder / "token")
    )


def _check_there(paths: str) -> None:
    """Raise ValueError if none of these files is there: the loader logs a warning, and misses what an empty one lacks."""
    if not any(Path(each).expanduser().exists() for each in paths.split(os.pathsep) if each):
        raise ValueError(f"no usable kubeconfig: there is none at {paths}; {_MEND}")


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
