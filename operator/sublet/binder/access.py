"""The tenant's way in: a token of the claim's ServiceAccount in each cluster, one kubeconfig on the hub.

The operator writes Secrets of one type by POST and PUT and never reads or patches one (a patch can read). Tokens
live as long as a setting says and are renewed at half their life, so a hub that is away for half a life hurts nobody.
"""

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from sublet.api.gpuclaim import Access, ClusterAccess, GpuClaim
from sublet.api.ids import ClaimUID
from sublet.api.names import API_VERSION, KUBECONFIG_KEY, KUBECONFIG_TYPE
from sublet.api.times import MS_PER_SECOND, Millis, parse_instant
from sublet.binder.argocd import as_cluster
from sublet.fleet.isolation import TENANT_ACCOUNT
from sublet.kube.errors import BadAnswer, Conflict, Forbidden, Invalid, NotFound
from sublet.kube.session import ApiServer, Endpoint

MIN_TOKEN_SECONDS: Final = 600
"""The API server refuses shorter lives."""
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/=-]{1,8192}")
"""What RFC 6750 lets a bearer token be, several times as long as an API server makes one: a Secret takes 1 MiB in all."""
_EARLIEST_END_MS: Final = parse_instant("2000-01-01T00:00:00Z")
_LATEST_END_MS: Final = parse_instant("9999-01-01T00:00:00Z")
_LONGEST_NAME: Final = 242
SHORTEST_WAIT_MS: Final = 60_000
"""No cluster makes its tokens be renewed more often, whatever it says of their ends."""


class SecretTaken(Exception):
    """A Secret that isn't ours has the name of the claim's kubeconfig, or its namespace takes none; somebody must mend it."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A tenant's token in one cluster."""

    alias: str
    namespace: str
    endpoint: Endpoint
    token: str = field(repr=False)
    requested_ms: Millis
    expires_ms: Millis
    """By the cluster's clock."""
    life_ms: int
    """As it was granted."""

    @property
    def renewal_ms(self) -> Millis:
        """Return when it is to be renewed: at half its life, however far the cluster's clock is from ours."""
        half = min(self.life_ms, self.expires_ms - self.requested_ms) // 2
        return Millis(self.requested_ms + max(half, SHORTEST_WAIT_MS))


def digest_of(endpoint: Endpoint) -> str:
    """Return a digest of what a kubeconfig says of a cluster, all of it public: address, CA, name in its certificate."""
    text = "\n".join((endpoint.server, endpoint.tls_server_name or "", endpoint.ca_pem or ""))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def leads_elsewhere(access: ClusterAccess, endpoint: Endpoint) -> bool:
    """Say whether the kubeconfig has another address or CA than the cluster is reached by now; an older one doesn't say."""
    return access.endpoint_digest not in (None, digest_of(endpoint))


def leads_into(access: Access | None, namespace: str) -> bool:
    """Say whether the kubeconfig was written for this namespace: then it was proven."""
    return access is not None and namespace in {c.namespace for c in access.clusters}


def account_path(namespace: str) -> str:
    """Return the path of the tenant's account in a claim's namespace."""
    return f"/api/v1/namespaces/{namespace}/serviceaccounts/{TENANT_ACCOUNT}"


async def request_token(
    api: ApiServer, namespace: str, life_seconds: int
) -> tuple[str, Millis, int]:
    """Return a new token of the tenant's account, when it ends and its life in ms, which the server may have shortened."""
    asked = max(MIN_TOKEN_SECONDS, life_seconds)
    answer = await api.create(
        f"{account_path(namespace)}/token",
        {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": asked},
        },
    )
    status, granted = answer["status"], (answer.get("spec") or {}).get("expirationSeconds")
    life_ms = min(asked, granted if isinstance(granted, int) else asked) * MS_PER_SECOND
    return _token(status["token"]), _end(status["expirationTimestamp"]), life_ms


def _token(text: Any) -> str:
    """Return a token as the cluster gave it; BadAnswer if it is none: the others' would go down with its Secret."""
    if not isinstance(text, str) or _TOKEN.fullmatch(text) is None:
        raise BadAnswer("the token isn't one")
    return text


def _end(text: Any) -> Millis:
    """Return when a token ends; BadAnswer or ValueError if no status could say it."""
    end_ms = parse_instant(text)
    if not _EARLIEST_END_MS <= end_ms <= _LATEST_END_MS:
        raise BadAnswer("the token ends at no time that anybody lives to see")
    return end_ms


async def write_secret(
    hub: ApiServer, claim: GpuClaim, grants: Sequence[Grant], argocd_namespace: str = ""
) -> Access:
    """Write the kubeconfig beside the claim and return what the claim's status says of it.

    In `argocd_namespace` Argo CD reads it as a cluster, too: the one that the kubeconfig's current context leads to.
    """
    name, path = secret_name(claim), secrets_path(claim)
    # always in one order: the first is where Flux and Argo CD deploy, whichever token was renewed first
    grants = sorted(grants, key=lambda g: (g.alias, g.namespace))
    secret = secret_of(claim, kubeconfig(grants))
    if argocd_namespace and claim.metadata.namespace == argocd_namespace:
        first, meta = grants[0], claim.metadata
        secret = as_cluster(
            secret, claim=meta.name, uid=meta.uid,
            endpoint=first.endpoint, namespace=first.namespace, token=first.token,
        )  # fmt: skip
    try:
        written = await hub.create(path, secret)
    except (Conflict, Forbidden) as error:  # a quota that is used up refuses also what is there
        written = await _overwrite(hub, path, name, secret, error)
    clusters = tuple(
        ClusterAccess(
            alias=g.alias,
            namespace=g.namespace,
            expiration_time=g.expires_ms,
            endpoint_digest=digest_of(g.endpoint),
        )
        for g in grants
    )
    renewal = Millis(min(g.renewal_ms for g in grants))
    version = str(written["metadata"].get("resourceVersion", ""))[:64]
    return Access(
        secret_name=name, clusters=clusters, renewal_time=renewal, secret_version=version or None
    )


def secrets_path(claim: GpuClaim) -> str:
    """Return the path of the Secrets beside a claim."""
    return f"/api/v1/namespaces/{claim.metadata.namespace}/secrets"


def secret_of(claim: GpuClaim, text: str) -> dict[str, Any]:
    """Return the Secret beside a claim, with this kubeconfig."""
    meta = claim.metadata
    owner = {"apiVersion": API_VERSION, "kind": "GpuClaim", "name": meta.name, "uid": meta.own_uid}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": KUBECONFIG_TYPE,
        "metadata": {
            "name": secret_name(claim),
            "namespace": meta.namespace,
            "ownerReferences": [owner],
        },
        "data": {KUBECONFIG_KEY: base64.b64encode(text.encode()).decode()},
    }


async def _overwrite(
    hub: ApiServer, path: str, name: str, secret: dict[str, Any], refused: Conflict | Forbidden
) -> dict[str, Any]:
    """Replace the Secret of an earlier try; SecretTaken if the name is somebody else's, or it can't be made."""
    try:
        return await hub.replace(f"{path}/{name}", secret)
    except NotFound as error:
        if isinstance(refused, Conflict):
            raise  # it went between the two: the next try makes it
        raise SecretTaken(f"Secret {name} can't be made: {refused.message[:500]}") from error
    except (
        Forbidden,
        Invalid,
    ) as error:  # another type can't be changed; another claim's is fenced
        raise SecretTaken(
            f"Secret {name} is not this claim's: delete it, or make the claim under another name"
        ) from error


def secret_name(claim: GpuClaim) -> str:
    """Return the Secret's name: the claim's, so that people find it; a very long one ends with a digest."""
    name = claim.metadata.name
    if len(name) > _LONGEST_NAME:
        name = f"{name[:230]}-{hashlib.sha256(name.encode()).hexdigest()[:10]}"
    return f"{name}-kubeconfig"


def kubeconfig(grants: Sequence[Grant]) -> str:
    """Return a kubeconfig with one context per cluster, named by the lease's tenant alias."""
    config: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": g.alias, "cluster": _cluster(g.endpoint)} for g in grants],
        "users": [{"name": g.alias, "user": {"token": g.token}} for g in grants],
        "contexts": [
            {
                "name": g.alias,
                "context": {"cluster": g.alias, "user": g.alias, "namespace": g.namespace},
            }
            for g in grants
        ],
        "current-context": grants[0].alias,
    }
    return yaml.safe_dump(config, sort_keys=False)


def forget_grants(grants: dict[tuple[ClaimUID, str], Grant], uid: str) -> None:
    """Let go of a claim's tokens."""
    for key in [k for k in grants if k[0] == uid]:
        del grants[key]


def renewal_ms(claim: GpuClaim, life_seconds: int) -> Millis | None:
    """Return when the claim's tokens are due for renewal: at half of the life that was granted."""
    access = claim.status.access
    if access is None:
        return None
    if access.renewal_time is not None:
        return access.renewal_time
    first = min((c.expiration_time for c in access.clusters), default=None)
    if first is None:
        return None
    return Millis(first - max(MIN_TOKEN_SECONDS, life_seconds) * MS_PER_SECOND // 2)


def furthest_renewal_ms(life_seconds: int, now_ms: Millis) -> Millis:
    """Return until when tokens that are minted now are due at the latest; whatever is noted for later was noted by a clock ahead.

    The tokens end by their clusters' clocks: by then they might be over for hours.
    """
    half = max(MIN_TOKEN_SECONDS, life_seconds) * MS_PER_SECOND // 2
    return Millis(now_ms + half + SHORTEST_WAIT_MS)


def is_renewal_due(claim: GpuClaim, life_seconds: int, now_ms: Millis) -> bool:
    """Say whether the claim's tokens are to be renewed now."""
    due, access = renewal_ms(claim, life_seconds), claim.status.access
    if due is None or access is None:
        return False
    is_noted = access.renewal_time is not None
    return due <= now_ms or (is_noted and due > furthest_renewal_ms(life_seconds, now_ms))


def _cluster(endpoint: Endpoint) -> dict[str, str]:
    cluster = {"server": endpoint.server}
    if endpoint.ca_pem is not None:
        data = base64.b64encode(endpoint.ca_pem.encode()).decode()
        cluster["certificate-authority-data"] = data
    if endpoint.tls_server_name is not None:
        cluster["tls-server-name"] = endpoint.tls_server_name
    return cluster
