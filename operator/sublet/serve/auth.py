"""Who may read /metrics: the hub decides, by TokenReview and SubjectAccessReview, as for any protected endpoint."""

from typing import Final

from sublet.clock import Clock
from sublet.kube.errors import KubeError
from sublet.kube.session import ApiServer

_REMEMBER_SECONDS: Final = 30.0
_MOST: Final = 100


class MetricsGate:
    """Asks the hub about a bearer token, and remembers the answer for half a minute."""

    def __init__(self, hub: ApiServer, clock: Clock) -> None:
        self._hub = hub
        self._clock = clock
        self._known: dict[str, tuple[float, int]] = {}  # token -> (until, HTTP status)

    async def status(self, authorization: str) -> int:
        """Return 200, 401 or 403 for an Authorization header, 503 if the hub can't be asked."""
        token = authorization.removeprefix("Bearer ").strip()
        if not authorization.startswith("Bearer ") or not token:
            return 401
        until, status = self._known.get(token, (0.0, 0))
        if self._clock.monotonic() < until:
            return status
        try:
            status = await self._ask(token)
        except KubeError:
            return 503
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[token] = (self._clock.monotonic() + _REMEMBER_SECONDS, status)
        return status

    async def _ask(self, token: str) -> int:
        review = await self._hub.create(
            "/apis/authentication.k8s.io/v1/tokenreviews",
            {
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenReview",
                "spec": {"token": token},
            },
        )
        found = review.get("status", {})
        if not found.get("authenticated"):
            return 401
        user = found.get("user", {})
        access = await self._hub.create(
            "/apis/authorization.k8s.io/v1/subjectaccessreviews",
            {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SubjectAccessReview",
                "spec": {
                    "user": user.get("username"),
                    "uid": user.get("uid"),
                    "groups": user.get("groups"),
                    "nonResourceAttributes": {"path": "/metrics", "verb": "get"},
                },
            },
        )
        return 200 if access.get("status", {}).get("allowed") else 403
