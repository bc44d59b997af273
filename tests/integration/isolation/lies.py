"""What a landlord may answer about a claim that is being bound, that is bound or that leaves: each a pattern of requests."""

import json
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from tests.builders.api import uid_of
from tests.harness.fake_api import answering, saying
from tests.harness.hostile import huge
from tests.harness.lying_cluster import Honest, Lie, LyingCluster, Showing, instead

_CLAIMS: Final = r"/api/v1/namespaces/sublet-(?!00000000-)[^/]+"
"""Any claim's namespace, but not the probe's"""
_NODE: Final = r"/api/v1/nodes/[^/]+"
_PODS: Final = _CLAIMS + "/pods"
_TOKEN: Final = _CLAIMS + "/serviceaccounts/tenant/token"
NODES: Final = r"/api/v1/nodes(/[^/]+)?"
_NO_ANSWER: Final = "isn't what a Kubernetes API server answers"


@dataclass(frozen=True)
class Told:
    """One lie, and what comes of it is said with these words, or with one of them, parted by `|`.

    Of a node whose answers and whose watch contradict each other the claim is told either by whoever took it or by the book.
    """

    method: str
    path: str
    lie: Lie | Showing
    words: str = ""

    def by(self, liar: LyingCluster) -> None:
        """Have it told from now on."""
        liar.tell(self.method, self.path, self.lie)


async def undone(_: web.Request, honest: Honest) -> web.StreamResponse:
    """Say that it is done, show what is there as before, and do nothing."""
    return await honest("GET")


async def feigned(_: web.Request, honest: Honest) -> web.StreamResponse:
    """Say that it is done, show what would be there, and do nothing."""
    return await honest(dryRun="All")


async def made(request: web.Request, _: Honest) -> web.StreamResponse:
    """Say that what was asked for is made, whatever it is."""
    return web.json_response(await request.json(), status=201)


def showing(**fields: dict[str, Any]) -> Showing:
    """Return a lie that shows other fields, by section: `metadata={…}`."""

    def change(body: dict[str, Any]) -> None:
        for section, changed in fields.items():
            body.setdefault(section, {}).update(changed)

    return Showing(change)


def _listing(*items: dict[str, Any]) -> Lie:
    """Return a lie that lists these objects."""
    return instead(saying(json.dumps({"metadata": {"resourceVersion": "1"}, "items": items}).encode()))  # fmt: skip


async def _going_on(request: web.Request, _: Honest) -> web.StreamResponse:
    """List nothing yet, say that there is more, and never show it."""
    if request.query.get("continue"):
        return web.Response(text="<html>later</html>")
    return web.json_response({"metadata": {"resourceVersion": "1", "continue": "x"}, "items": []})


def _foreign_pod() -> dict[str, Any]:
    limits = {"nvidia.com/gpu": "8"}
    container = {"name": "c", "image": "i", "resources": {"limits": limits, "requests": limits}}
    meta = {"name": "theirs", "namespace": "kube-system", "uid": uid_of("theirs")}
    return {"metadata": meta, "spec": {"nodeName": "e0", "containers": [container]}}


def _busy(status: int, reason: str) -> Lie:
    return instead(answering(status, reason, "come later", **{"Retry-After": "3600"}))


TOKENS: Final = {
    "a token of 100 MB": Told("POST", _TOKEN, instead(huge), _NO_ANSWER),
    "a token of no shape": Told("POST", _TOKEN, showing(status={"token": "a\nb: {}"}), _NO_ANSWER),
    "a token without end": Told("POST", _TOKEN, showing(status={"expirationTimestamp": "never"}), _NO_ANSWER),
    "a token that is none": Told("POST", _TOKEN, instead(saying(b"[]")), _NO_ANSWER),
}  # fmt: skip
FEIGNED_LOCK: Final = Told("PATCH", _NODE, feigned)
BINDING: Final = {
    "a lock that isn't done": Told("PATCH", _NODE, undone, "changes too fast to be locked"),
    "a lock on another node": Told("PATCH", _NODE, showing(metadata={"uid": uid_of("another")}), "held for claims that don't have them"),
    "a lock on a node that is closed by now": Told("PATCH", _NODE, showing(spec={"unschedulable": True}), "not for sale just now|can't be sold: Cordoned"),
    "pods of which none is shown": Told("GET", "/api/v1/pods", _going_on, _NO_ANSWER),
    "pods of somebody else on the node": Told("GET", "/api/v1/pods", _listing(_foreign_pod()), "not for sale just now"),
    "a namespace that isn't made": Told("POST", "/api/v1/namespaces", made, "not found"),
    "a quota that is never in force": Told("GET", _CLAIMS + "/resourcequotas/sublet", showing(status={"hard": {"pods": "1"}}), "doesn't enforce the claim's quota"),
    "a policy that lets everything pass": Told("POST", _PODS, made, "didn't refuse a pod with a foreign scheduler"),
    "another policy that refuses": Told("POST", _PODS, instead(answering(403, "Forbidden", "policy 'landlords-own' denied request")), "refused by something else than sublet-claim-pods"),
    **TOKENS,
}  # fmt: skip
"""What -> a lie to a claim that is being bound: none of them may end with Bound."""
BUSY: Final = {
    429: Told("*", ".*", _busy(429, "TooManyRequests")),
    503: Told("*", ".*", _busy(503, "ServiceUnavailable")),
}
STAYING: Final = {
    "pods of which none is shown": Told("GET", _PODS, _going_on, _NO_ANSWER),
    "pods of another namespace": Told("GET", _PODS, _listing(_foreign_pod()), "pods run on the claim's nodes in"),
}  # fmt: skip
"""What -> a lie to a claim that leaves, which can't be believed to have left."""
LEAVING: Final = {
    "a namespace that never ends": Told("DELETE", _CLAIMS, undone),
    "a node that is given back and isn't": Told("PATCH", _NODE, undone),
}
"""What -> a lie to a claim that leaves, by which the landlord keeps something of its own from being sold again."""
