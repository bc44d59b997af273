"""One modelled API server: what a request does to the store and what is answered, atomically.

Only what real servers do is modelled; each rule names its source. What the operator never sends isn't there, and fails
loudly. The model is held against real control planes by tests/simulation/test_honesty.py.
"""

import random
from collections.abc import Callable, Mapping
from email.utils import formatdate
from typing import Any, Final

import msgspec

from sublet.api.times import Millis, format_instant
from tests.simulation import admission
from tests.simulation.answers import (
    Refused,
    Request,
    User,
    Where,
    conflict,
    encode,
    not_found,
    parse_path,
)
from tests.simulation.defaults import fill_in
from tests.simulation.patches import PatchFailed, apply, json_patch
from tests.simulation.store import Key, Object, Store, copy, instant

CUSTOM: Final = {"gpuclaims", "gpuleases", "gpuclasses", "gputenants", "gpustatements"}
"""Custom resources with a status subresource."""
_WITH_STATUS: Final = CUSTOM | {"nodes", "pods", "namespaces", "resourcequotas"}
_GRACEFUL_SECONDS: Final = 30
OPERATOR: Final = User("operator")
_EVERYTHING: Final = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
"""The operator's rights here: what it lacks is tried on real planes."""


class Server:
    """One API server."""

    def __init__(self, name: str, rng: random.Random, now_ms: Callable[[], int]) -> None:
        self.store = Store(name, rng, now_ms)
        self.name = name
        self.users: dict[str, User] = {}  # token -> who it is
        self.belt = True
        """The policy sublet-node-invariants acts."""
        self.deleting: Callable[[Key, Object, Request], None] = lambda *_: None
        """Told of every deletion that is asked for, before it happens."""
        self._tokens = 0

    @property
    def date(self) -> str:
        """Return the Date of an answer that is given now."""
        return formatdate(self.store.now_ms() / 1000, usegmt=True)

    def handle(self, request: Request, token: str) -> bytes:
        """Answer one request; Refused with the status of an error."""
        user = self._authenticate(token)
        if request.path == "/version":
            return encode({"gitVersion": "v1.37.2"})
        if request.path == "/apis/admissionregistration.k8s.io/v1":
            return encode({"resources": [{"name": "mutatingadmissionpolicies"}]})
        where = parse_path(request.path)
        self._authorize(user, where)
        if request.method == "GET":
            return self._read(where, request.params)
        if request.method == "DELETE":
            return self._delete(where, request)
        return self._write(where, request, user)

    def _write(self, where: Where, request: Request, user: User) -> bytes:
        body = msgspec.json.decode(request.body or b"{}")
        if request.method == "POST" and where.subresource == "token":
            return self._token(where, body)
        if request.method == "POST" and where.resource == "selfsubjectrulesreviews":
            return encode({"status": {"incomplete": False, "resourceRules": [_EVERYTHING]}})
        if request.method == "POST":
            return encode(self._create(where, body, request, user))
        if request.method == "PUT":
            return encode(self._replace(where, body, request))
        if request.content_type.startswith("application/json-patch"):
            return encode(self._patch(where, body, request))
        if request.content_type.startswith("application/apply-patch"):
            return encode(self._apply(where, body, request, user))
        raise AssertionError(f"not modelled: {request.method} {request.content_type}")

    def _authenticate(self, token: str) -> User:
        """Say who asks; a bound token ends with its ServiceAccount (KEP-1205)."""
        user = self.users.get(token)
        if user is None:
            raise Refused(401, "Unauthorized", "Unauthorized")
        if user.is_tenant:
            account = self.store.get("serviceaccounts", user.namespace, "tenant")
            if account is None or account["metadata"]["uid"] != user.account_uid:
                raise Refused(401, "Unauthorized", "Unauthorized")
        return user

    def lets_in(self, token: str) -> bool:
        """Say whether a token counts here, and its user may do something in its namespace."""
        try:
            user = self._authenticate(token)
        except Refused:
            return False
        return self.store.get("rolebindings", user.namespace, "sublet-tenant") is not None

    def _authorize(self, user: User, where: Where) -> None:
        """Let tenants into their own namespace while the RoleBinding stands (RBAC)."""
        if not user.is_tenant:
            return
        bound = self.store.get("rolebindings", user.namespace, "sublet-tenant")
        if bound is None or where.namespace != user.namespace:
            raise Refused(
                403, "Forbidden", f"User {user.name} cannot {where.resource} in {where.namespace}"
            )

    def _read(self, where: Where, params: Mapping[str, str]) -> bytes:
        if where.name:
            found = self.store.objects.get(Key(where.resource, where.namespace, where.name))
            if found is None:
                raise not_found(where)
            return encode(found)
        matches = selector(params)
        items = [o for o in self.store.all(where.resource, where.namespace) if matches(o)]
        items.sort(key=lambda o: (o["metadata"].get("namespace", ""), o["metadata"]["name"]))
        meta = {"resourceVersion": str(self.store.version)}
        return encode({"metadata": meta, "items": items})

    def _create(self, where: Where, body: Object, request: Request, user: User) -> Object:
        meta = body["metadata"]
        key = Key(where.resource, where.namespace, meta["name"])
        if where.namespace:
            self._see_namespace(where.namespace)
            meta["namespace"] = where.namespace
        admission.create(self, key, body, user)
        if key in self.store.objects:
            raise Refused(409, "AlreadyExists", f'{where.resource} "{key.name}" already exists')
        if where.resource in CUSTOM:
            body.pop("status", None)  # rest strategy of a CRD with the status subresource
            meta["generation"] = 1
            fill_in(where.resource, body)
        if where.resource == "namespaces":
            body["spec"] = {"finalizers": ["kubernetes"]}
            body["status"] = {"phase": "Active"}
        if "dryRun" in request.params:
            return body
        return self.store.put(key, body, request.actor)

    def _see_namespace(self, name: str) -> None:
        """Refuse what is made in a namespace that isn't there or is going (plugin NamespaceLifecycle)."""
        found = self.store.get("namespaces", "", name)
        if found is None:
            raise Refused(404, "NotFound", f'namespaces "{name}" not found')
        if found["metadata"].get("deletionTimestamp"):
            why = "because it is being terminated"
            raise Refused(
                403, "Forbidden", f"unable to create new content in namespace {name} {why}"
            )

    def _live(self, where: Where) -> tuple[Key, Object]:
        key = Key(where.resource, where.namespace, where.name)
        found = self.store.objects.get(key)
        if found is None:
            raise not_found(where)
        return key, found

    def _replace(self, where: Where, body: Object, request: Request) -> Object:
        """PUT: guarded by what the metadata carry (registry/generic store.go, Update)."""
        key, live = self._live(where)
        meta = body["metadata"]
        version, uid = meta.get("resourceVersion"), meta.get("uid")
        if not version and where.resource in CUSTOM:
            why = "metadata.resourceVersion: Invalid value: 0: must be specified for an update"
            raise Refused(422, "Invalid", why)
        if uid and uid != live["metadata"]["uid"]:
            raise conflict(where, f"Precondition failed: UID in precondition: {uid}")
        if version and version != live["metadata"]["resourceVersion"]:
            raise conflict(
                where, "the object has been modified; please apply your changes to the latest"
            )
        return self._update(where, key, live, {**copy(live), **body}, request)

    def _patch(self, where: Where, operations: list[dict[str, Any]], request: Request) -> Object:
        key, live = self._live(where)
        wanted = copy(live)
        try:
            json_patch(wanted, operations)
        except PatchFailed as failed:
            raise Refused(
                422,
                "Invalid",
                f"the server rejected our request due to an error in our request: {failed}",
            ) from failed
        return self._update(where, key, live, wanted, request)

    def _apply(self, where: Where, body: Object, request: Request, user: User) -> Object:
        key = Key(where.resource, where.namespace, where.name)
        live = self.store.objects.get(key)
        if live is None:
            return self._create(where, body, request, user)
        wanted = copy(live)
        apply(wanted, body)
        return self._update(where, key, live, wanted, request)

    def _update(
        self, where: Where, key: Key, live: Object, wanted: Object, request: Request
    ) -> Object:
        """Commit what a write asks for, of the part that it may change; the server keeps its own metadata."""
        kept = ("uid", "creationTimestamp", "deletionTimestamp", "generation", "name", "namespace")
        if where.subresource == "status":
            wanted = {**copy(live), "status": wanted.get("status")}
        elif where.resource in _WITH_STATUS:
            wanted = {**wanted, **({"status": live["status"]} if "status" in live else {})}
            if "status" not in live:
                wanted.pop("status", None)
        meta = wanted["metadata"]
        meta |= {k: live["metadata"][k] for k in kept if k in live["metadata"]}
        if not meta.get("finalizers"):
            meta.pop("finalizers", None)
        leaving = "deletionTimestamp" in meta
        if leaving and set(meta.get("finalizers", ())) - set(
            live["metadata"].get("finalizers", ())
        ):
            # ValidateObjectMetaUpdate: no new finalizers can be added if the object is being deleted
            raise Refused(422, "Invalid", "metadata.finalizers: Forbidden: no new finalizers")
        if where.resource == "nodes" and wanted["spec"].get("taints") == []:
            del wanted["spec"]["taints"]  # core/v1 NodeSpec: omitempty
        if where.resource in CUSTOM:
            fill_in(where.resource, wanted)
        if where.resource in CUSTOM and wanted.get("spec") != live.get("spec"):
            meta["generation"] += 1
        admission.update(self, key, live, wanted)
        if "dryRun" in request.params:
            return wanted
        waits = meta.get("finalizers") or "deletionGracePeriodSeconds" in meta
        if leaving and key.resource != "namespaces" and not waits:
            self.store.objects[key] = wanted
            self.store.remove(key, request.actor)
            return wanted
        return self.store.put(key, wanted, request.actor)

    def _delete(self, where: Where, request: Request) -> bytes:
        options = msgspec.json.decode(request.body or b"{}")
        if not where.name:
            matches = selector(request.params)
            for obj in [o for o in self.store.all(where.resource, where.namespace) if matches(o)]:
                self.delete(where._replace(name=obj["metadata"]["name"]), options, request)
            return b"{}"
        self.delete(where, options, request)
        return b"{}"

    def delete(self, where: Where, options: Object, request: Request) -> None:
        """Delete one object: at once, or by marking it where something must happen first."""
        key, live = self._live(where)
        uid = (options.get("preconditions") or {}).get("uid")
        if uid and uid != live["metadata"]["uid"]:
            raise conflict(where, f"Precondition failed: UID in precondition: {uid}")
        self.deleting(key, live, request)
        meta = live["metadata"]
        held = bool(meta.get("finalizers")) or key.resource == "namespaces"
        grace = options.get("gracePeriodSeconds", _GRACEFUL_SECONDS)
        # rest.BeforeDelete: a pod that no node has yet, or a grace of zero, needs nobody's consent
        graceful = key.resource == "pods" and live["spec"].get("nodeName") and grace > 0
        if not held and not graceful:
            self.store.remove(key, request.actor)
            return
        if "deletionTimestamp" in meta:
            return
        marked = copy(live)
        now = self.store.now_ms()
        seconds = grace if graceful else 0
        marked["metadata"]["deletionTimestamp"] = instant(now + seconds * 1000)
        if graceful:
            marked["metadata"]["deletionGracePeriodSeconds"] = seconds
        if "generation" in meta:
            marked["metadata"]["generation"] += 1
        if key.resource == "namespaces":
            marked["status"] = {"phase": "Terminating"}
        self.store.put(key, marked, request.actor)

    def _token(self, where: Where, body: Object) -> bytes:
        """TokenRequest (KEP-1205): bound to the account's UID."""
        account = self.store.get("serviceaccounts", where.namespace, where.name)
        if account is None:
            raise not_found(where)
        self._tokens += 1
        token = f"{self.name}-{where.namespace}-{self._tokens}"
        name = f"system:serviceaccount:{where.namespace}:{where.name}"
        self.users[token] = User(name, where.namespace, account["metadata"]["uid"])
        ends = self.store.now_ms() + body["spec"]["expirationSeconds"] * 1000
        ends -= ends % 1000
        return encode(
            {"status": {"token": token, "expirationTimestamp": format_instant(Millis(ends))}}
        )


def selector(params: Mapping[str, str]) -> Callable[[Object], bool]:
    """Return the test of labelSelector (equality, existence) and fieldSelector of a request."""
    named = [p for p in params.get("labelSelector", "").split(",") if p]
    labels = [p.split("=", 1) for p in named if "=" in p]
    there = [p for p in named if "=" not in p]
    fields = [p.split("=", 1) for p in params.get("fieldSelector", "").split(",") if p]

    def matches(obj: Object) -> bool:
        have = obj["metadata"].get("labels") or {}
        if any(have.get(key) != value for key, value in labels) or any(
            k not in have for k in there
        ):
            return False
        return all(_field(obj, path) == value for path, value in fields)

    return matches


def _field(obj: Object, path: str) -> str:
    found: Any = obj
    for part in path.split("."):
        found = (found or {}).get(part)
    return str(found or "")
