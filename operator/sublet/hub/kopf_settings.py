"""kopf, set up to feed and do nothing else. Each setting answers a measured trap (docs/decisions/0001)."""

from collections.abc import Iterator
from typing import Any

import kopf

from sublet.kube.session import Endpoint


class EndlessBackoff:
    """Delays that never run out: with finite ones, a hub that answers 403 or 5xx for long ends the operator."""

    def __iter__(self) -> Iterator[float]:
        """Yield growing delays in seconds, then ten for ever."""
        yield from (0.1, 0.5, 1.0, 2.0, 5.0)
        while True:
            yield 10.0


class NothingKept(kopf.DiffBaseStorage):
    """What kopf remembers of an object to find differences: nothing, since no handler asks for them.

    The stock one copies each object deeply at every event.
    """

    def build(self, *, body: kopf.Body, extra_fields: Any = None) -> Any:
        """Return the essence of an object: nothing of it."""
        return {}

    def fetch(self, *, body: kopf.Body) -> None:
        """Return the last essence: there is none."""

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: Any) -> None:
        """Keep nothing."""


def kopf_settings() -> kopf.OperatorSettings:
    """Return the settings of the one kopf operator."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.networking.error_backoffs = EndlessBackoff()
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 5
    settings.networking.enforce_retry_after = True
    settings.watching.server_timeout = 300
    settings.watching.chunk_size = 500
    settings.queueing.worker_limit = None
    settings.queueing.idle_timeout = 1
    settings.persistence.finalizer = "sublet.dev/kopf"
    settings.persistence.diffbase_storage = NothingKept()
    settings.process.ultimate_exiting_timeout = 25
    return settings


def register_login(registry: kopf.OperatorRegistry, endpoint: Endpoint) -> None:
    """Let kopf use the same hub and identity as everything else."""

    @kopf.on.login(registry=registry)
    def login(**_: Any) -> kopf.ConnectionInfo:
        return kopf.ConnectionInfo(
            server=endpoint.server,
            ca_data=endpoint.ca_pem.encode() if endpoint.ca_pem else None,
            scheme="Bearer" if endpoint.token else None,
            token=endpoint.token() if endpoint.token else None,
            certificate_data=endpoint.client_cert_pem,
            private_key_data=endpoint.client_key_pem,
        )
