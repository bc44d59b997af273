"""What tests ask of a plane as its admin, over one connection that stays open: a kubectl takes fifty times the processor time.

It answers as kubectl does, in kubectl's words; whatever it has no word for is kubectl's own.
"""

import base64
import http.client
import json
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import yaml

Json = dict[str, Any]
_SECONDS: Final = 60.0
_APPLY: Final = {"fieldManager": "kubectl", "force": "true", "fieldValidation": "Strict"}


class Refused(AssertionError):
    """The server said no; its words and its status."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


def words_of(status: Json, code: int) -> str:
    """Return what kubectl makes of a refusal: of an invalid object each cause with its field."""
    details = status.get("details") or {}
    if status.get("reason") != "Invalid" or not details.get("causes"):
        return f"Error from server ({status.get('reason', code)}): {status.get('message', '')}"
    causes = [f"{c['field']}: {c['message']}" for c in details["causes"]]
    said = f": {causes[0]}" if len(causes) == 1 else ": " + "".join(f"\n* {c}" for c in causes)
    return f'The {details["kind"]} "{details["name"]}" is invalid{said}'


@dataclass(frozen=True)
class Resource:
    """One kind of object as a server has it."""

    group_version: str
    plural: str
    kind: str
    namespaced: bool
    names: frozenset[str]
    """All that kubectl would take for it, without the group."""
    verbs: frozenset[str]

    @property
    def group(self) -> str:
        """Return the group, "" for the core's."""
        return self.group_version.rpartition("/")[0]

    def path(self, namespace: str = "", name: str = "") -> str:
        """Return the path of an object, of all in a namespace, or of all."""
        root = "/apis/" if self.group else "/api/"
        where = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{root}{self.group_version}{where}/{self.plural}" + (f"/{name}" if name else "")


@dataclass(frozen=True)
class Question:
    """What `kubectl get` was asked for."""

    kinds: tuple[str, ...]
    names: tuple[str, ...]
    namespace: str
    """"" for all."""
    params: dict[str, str]


def parse_get(arguments: tuple[str, ...]) -> Question | None:
    """Return what these arguments of `kubectl get` ask for, None if that takes a kubectl to understand."""
    plain: list[str] = []
    params: dict[str, str] = {}
    namespace, rest = "default", iter(arguments)
    for each in rest:
        if each in ("-n", "--namespace"):
            namespace = next(rest)
        elif each in ("-A", "--all-namespaces"):
            namespace = ""
        elif each in ("-l", "--selector"):
            params["labelSelector"] = next(rest)
        elif each.startswith("--field-selector="):
            params["fieldSelector"] = each.partition("=")[2]
        elif each.startswith("-"):
            return None
        else:
            plain.append(each)
    if not plain or "/" in plain[0] or len(plain) > 2 or ("," in plain[0] and len(plain) > 1):
        return None
    return Question(tuple(plain[0].split(",")), tuple(plain[1:]), namespace, params)


class Admin:
    """One plane's API server and what kinds it has; for one thread at a time, others wait."""

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self._server = urlsplit(cluster["server"])
        self._trust = ssl.create_default_context()
        self._trust.load_verify_locations(cadata=authority)
        self._headers = {"Authorization": f"Bearer {user['token']}", "Accept": "application/json"}
        self._connection: http.client.HTTPSConnection | None = None
        self._lock = threading.Lock()
        self._resources: list[Resource] = []

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        with self._lock:
            self._drop()

    def request(
        self, method: str, path: str, *, body: Any = None, media: str = "application/json",
        headers: Mapping[str, str] = MappingProxyType({}), **params: str,
    ) -> Json:  # fmt: skip
        """Send one request and return the answer; Refused if it is none of success."""
        status, data = self._send(
            method, f"{path}?{urlencode(params)}", body, {"Content-Type": media, **headers}
        )
        answer: Any = json.loads(data) if data[:1] == b"{" else {"message": data.decode()}
        if status >= http.HTTPStatus.BAD_REQUEST:
            raise Refused(status, words_of(answer, status))
        return dict(answer)

    def get(self, asked: Question) -> Json | None:
        """Return what kubectl shows as JSON, None if an object of that name isn't there."""
        if asked.names:
            resource = self.resource(asked.kinds[0])
            try:
                path = resource.path(asked.namespace or "default", asked.names[0])
                return self.request("GET", path, **asked.params)
            except Refused as refused:
                if refused.status == http.HTTPStatus.NOT_FOUND:
                    return None
                raise
        kinds = [self.resource(kind) for kind in asked.kinds]
        return {"items": [each for k in kinds for each in self.items(k, asked.namespace, **asked.params)]}  # fmt: skip

    def items(self, resource: Resource, namespace: str = "", **params: str) -> Iterator[Json]:
        """Yield all objects of a kind, each with its kind and version."""
        answer = self.request("GET", resource.path(namespace), **params)
        for each in answer.get("items") or ():
            yield {"apiVersion": resource.group_version, "kind": resource.kind, **each}

    def create(self, body: Json, **params: str) -> Json:
        """Create an object; a field that the kind doesn't have is refused."""
        path = self.of_object(body).path(body["metadata"].get("namespace", "default"))
        return self.request("POST", path, body=body, fieldValidation="Strict", **params)

    def apply(self, body: Json, subresource: str = "", **params: str) -> Json:
        """Apply an object on the server's side, as kubectl does; by force unless `params` say otherwise."""
        path = self.path_of(body) + subresource
        text = yaml.safe_dump(body)
        return self.request("PATCH", path, body=text, media="application/apply-patch+yaml", **_APPLY | params)  # fmt: skip

    def merge(self, body: Json, change: Json, subresource: str = "") -> Json:
        """Merge a change into an object, or into its status if `subresource` is "/status"."""
        path = self.path_of(body) + subresource
        return self.request("PATCH", path, body=change, media="application/merge-patch+json")

    def path_of(self, body: Json) -> str:
        """Return where an object is."""
        meta = body["metadata"]
        return self.of_object(body).path(meta.get("namespace", "default"), meta["name"])

    def of_object(self, body: Json) -> Resource:
        """Return the kind that an object is of."""
        version, kind = body["apiVersion"], body["kind"]
        return self._found(lambda r: r.group_version == version and r.kind == kind, f"{kind}.{version}")  # fmt: skip

    def resource(self, name: str) -> Resource:
        """Return the kind that kubectl takes a name for; the core's before any other's."""
        short, _, group = name.lower().partition(".")
        return self._found(lambda r: short in r.names and group in ("", r.group), name)

    def resources(self) -> list[Resource]:
        """Return all kinds that the server has, the core's first, then in its own order."""
        groups = self.request("GET", "/apis")["groups"]
        versions = ["v1", *(g["preferredVersion"]["groupVersion"] for g in groups)]
        self._resources = [r for version in versions for r in self._of_version(version)]
        return self._resources

    def _found(self, fits: Any, name: str) -> Resource:
        for known in (self._resources, ()):
            found = next((r for r in known or self.resources() if fits(r)), None)
            if found is not None:
                return found
        raise Refused(404, f'the server doesn\'t have a resource type "{name}"')

    def _of_version(self, version: str) -> Iterator[Resource]:
        root = "/apis/" if "/" in version else "/api/"
        for each in self.request("GET", root + version)["resources"]:
            if "/" not in each["name"]:
                names = {each["name"], each["kind"].lower(), each.get("singularName", "")}
                yield Resource(
                    version, each["name"], each["kind"], each["namespaced"],
                    frozenset((names | set(each.get("shortNames", ()))) - {""}), frozenset(each["verbs"]),
                )  # fmt: skip

    def _send(
        self, method: str, target: str, body: Any, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        """Send over the open connection; over a new one if the server has closed it meanwhile, as a new server has."""
        text = body if isinstance(body, str) or body is None else json.dumps(body)
        with self._lock:
            for kept in (self._connection is not None, False):
                begun = time.monotonic()
                try:
                    connection = self._connect()
                    connection.request(
                        method,
                        target,
                        text.encode() if text else None,
                        {**self._headers, **headers},
                    )
                    answer = connection.getresponse()
                    return answer.status, answer.read()
                except (OSError, http.client.HTTPException) as error:
                    self._drop()
                    if not kept or time.monotonic() - begun > 1:
                        raise Refused(0, f"{method} {target}: {error!r}") from error
        raise AssertionError  # the second try returns or raises

    def _connect(self) -> http.client.HTTPSConnection:
        if self._connection is None:
            host, port = self._server.hostname or "", self._server.port
            self._connection = http.client.HTTPSConnection(host, port, timeout=_SECONDS, context=self._trust)  # fmt: skip
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
