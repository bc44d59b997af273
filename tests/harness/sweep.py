"""Bringing a plane back to what it was: whatever isn't in its baseline goes, whatever is comes back, and then all is compared.

The baseline is every object of every kind that the server has, read once when all was installed. What controllers keep
for themselves isn't compared: status, versions, who manages which field, their own accounts, events.
"""

import time
from http import HTTPStatus
from typing import Any, Final

from tests.harness.admin import Admin, Json, Refused, Resource

_SECONDS: Final = 60.0
_UNTOLD: Final = ("resourceVersion", "managedFields", "generation", "creationTimestamp", "selfLink")
_OPERATOR: Final = "system:serviceaccount:sublet-system:sublet"
"""Nobody else may take our finalizers off."""
_GUARDS: Final = ("validatingadmissionpolicybindings", "mutatingadmissionpolicybindings")
_ONLY_ITSELF: Final = ("serviceaccounts", "namespaces", "customresourcedefinitions")
"""Kinds whose objects can't be made again as they were: tokens and other objects name their UIDs."""

_IN_EACH_NAMESPACE: Final = (("serviceaccounts", "default"), ("configmaps", "kube-root-ca.crt"))
_LASTING: Final = ("default", "kube-system", "kube-public", "kube-node-lease", "sublet-system")

_SETTLED: Final = (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)
"""It is gone, or going."""

Objects = dict[str, tuple[Resource, Json]]


class NotSwept(AssertionError):
    """Something is left, lost or changed for good."""


class Sweep:
    """One plane and its baseline."""

    def __init__(self, plane: str, admin: Admin) -> None:
        self._plane = plane
        self._admin = admin
        self._kinds = [r for r in admin.resources() if {"list", "delete"} <= r.verbs]
        self._baseline = self._read()

    def run(self) -> bool:
        """Sweep; return whether anything had to be made again or changed back. NotSwept says what can't be."""
        self._forget_events()
        mended, deadline = False, time.monotonic() + _SECONDS
        while True:
            found = self._read()
            extra = [found[path] for path in found.keys() - self._baseline.keys()]
            for resource, body in sorted(
                extra, key=lambda e: (not e[0].namespaced, e[0].plural == "namespaces")
            ):
                self._remove(resource, body)
            wrong = [p for p, (_, body) in self._baseline.items() if self._differs(p, body, found)]
            if not extra and not wrong:
                return mended
            if time.monotonic() > deadline:
                left = [
                    r.path(b["metadata"].get("namespace", ""), b["metadata"]["name"])
                    for r, b in extra
                ]
                raise NotSwept(f"{self._plane}: left over {left}, not as it was {wrong}")
            if (
                not extra
            ):  # as long as something goes, the policies that were taken off for it stay off
                mended = True
                for path in wrong:
                    self._mend(path, found.get(path))

    def remove(self, path: str) -> None:
        """Remove an object of the baseline until the next sweep."""
        resource, body = self._baseline[path]
        self._remove(resource, body)

    def _differs(self, path: str, body: Json, found: Objects) -> bool:
        return path not in found or _told(found[path][1]) != _told(body)

    def _read(self) -> Objects:
        return {
            r.path(meta.get("namespace", ""), meta["name"]): (r, body)
            for r in self._kinds
            if r.plural != "events"
            for body in self._admin.items(r)
            if not _is_the_systems(r, meta := body["metadata"])
        }

    def _remove(self, resource: Resource, body: Json) -> None:
        meta = body["metadata"]
        path = resource.path(meta.get("namespace", ""), meta["name"])
        try:
            if meta.get("finalizers"):
                self._unpin(path)
            self._admin.request("DELETE", path, gracePeriodSeconds="0")
            if resource.plural == "namespaces":
                self._finalize(path)
        except Refused as refused:
            if refused.status not in _SETTLED:
                self._unguard(refused)

    def _unpin(self, path: str) -> None:
        for headers in ({"Impersonate-User": _OPERATOR}, {}):
            try:
                self._admin.request(
                    "PATCH", path, body={"metadata": {"finalizers": None}}, media="application/merge-patch+json",
                    headers=headers,
                )  # fmt: skip
            except Refused as refused:
                if refused.status == HTTPStatus.NOT_FOUND:
                    return
                if not headers:
                    raise
            else:
                return

    def _finalize(self, path: str) -> None:
        """Let a namespace go at once: what was in it is deleted already, and what comes late is found the next time."""
        body = self._admin.request("GET", path)
        self._admin.request("PUT", f"{path}/finalize", body={**body, "spec": {"finalizers": []}})

    def _unguard(self, refused: Refused) -> None:
        """Take all policies off, since one of them keeps something here; they come back with the baseline."""
        on = [
            r.path("", i["metadata"]["name"])
            for r in map(self._admin.resource, _GUARDS)
            for i in self._admin.items(r)
        ]
        if not on:
            raise NotSwept(f"{self._plane}: {refused}") from refused
        for path in on:
            self._admin.request("DELETE", path)

    def _mend(self, path: str, found: tuple[Resource, Json] | None) -> None:
        resource, body = self._baseline[path]
        if resource.plural in _ONLY_ITSELF and (found is None or _uid(found[1]) != _uid(body)):
            raise NotSwept(f"{self._plane}: {path} is gone for good; ask for a stack of your own")
        meta = {k: v for k, v in body["metadata"].items() if k not in (*_UNTOLD, "uid")}
        if found is None:
            where = resource.path(meta.get("namespace", ""))
            self._admin.request("POST", where, body={**body, "metadata": meta})
        else:
            meta["resourceVersion"] = found[1]["metadata"]["resourceVersion"]
            self._admin.request("PUT", path, body={**body, "metadata": meta})

    def _forget_events(self) -> None:
        events = self._admin.resource("events")
        spaces = {e["metadata"]["namespace"] for e in self._admin.items(events)}
        for namespace in spaces:
            self._admin.request("DELETE", events.path(namespace))


def _told(body: Json) -> Json:
    """Return what is compared of an object."""
    meta = {k: v for k, v in body["metadata"].items() if k not in (*_UNTOLD, "uid")}
    rest: dict[str, Any] = {k: v for k, v in body.items() if k not in ("metadata", "status")}
    if body["kind"] == "Lease":
        rest.pop("spec")  # renewed all the time
    if body["kind"].lower() + "s" in _ONLY_ITSELF:
        meta["uid"] = body["metadata"]["uid"]
    return {**rest, "metadata": meta}


def _uid(body: Json) -> str:
    return str(body["metadata"]["uid"])


def _is_the_systems(resource: Resource, meta: Json) -> bool:
    """Say whether an object is a controller's or the server's own, made when it needs it."""
    namespace = meta.get("namespace", "")
    if (resource.plural, meta["name"]) in _IN_EACH_NAMESPACE:
        return namespace in _LASTING
    return namespace == "kube-system" and resource.plural in ("serviceaccounts", "leases")
