"""Rights as granted and rights as used, in one form: what roles say against what an API server's audit log shows."""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from sublet.fleet.isolation import PROBE_NAMESPACE

Object = dict[str, Any]

EVERYWHERE: Final = ""
"""As a place: cluster-wide, or of a kind that is in no namespace."""
ANY: Final = ""
"""As a name: every object, or a request that names none."""
CLAIMS: Final = "a claim's namespace"
TENANTS: Final = "a tenant's namespace"
UNFORESEEN: Final = frozenset({CLAIMS, TENANTS})
"""Namespaces whose names no role can know, so that one stands for all of its kind."""
PREREQUISITES: Final = frozenset({"bind", "escalate"})
"""Verbs that no request has: the server looks for them when it judges another request."""

_CLAIM_NAMESPACE: Final = re.compile(r"sublet-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}-\d+")


class Right(NamedTuple):
    """One verb on one resource (with its subresource), in one place, on one object where a name is said."""

    group: str
    resource: str
    verb: str
    place: str = EVERYWHERE
    name: str = ANY

    def __str__(self) -> str:
        """Return it as a person says it."""
        of = f".{self.group}" if self.group else ""
        name = f" {self.name}" if self.name else ""
        return f"{self.verb} {self.resource}{of}{name} in {self.place or 'the cluster'}"

    def covers(self, other: "Right") -> bool:
        """Say whether whoever has this right has the other one."""
        return (
            self[:3] == other[:3]
            and self.place in (EVERYWHERE, other.place)
            and self.name in (ANY, other.name)
        )


class Account(NamedTuple):
    """A ServiceAccount."""

    namespace: str
    name: str

    @property
    def user(self) -> str:
        """Return who it is for the API server."""
        return f"system:serviceaccount:{self.namespace}:{self.name}"

    def is_named_by(self, subject: Object) -> bool:
        """Say whether a binding's subject is the account or all accounts of its namespace."""
        named = {
            "ServiceAccount": (self.namespace, self.name),
            "User": ("", self.user),
            "Group": ("", f"system:serviceaccounts:{self.namespace}"),
        }
        return (subject.get("namespace", ""), subject["name"]) == named[subject["kind"]]


def granted(objects: Iterable[Object], account: Account) -> set[Right]:
    """Return what roles and bindings, as they are shipped or installed, grant an account.

    What every authenticated user may is no grant to it.
    """
    every = list(objects)
    roles = {_key(m["kind"], _place(m), m["metadata"]["name"]): m for m in every}
    rights: set[Right] = set()
    for binding in every:
        if binding["kind"].endswith("RoleBinding") and any(
            account.is_named_by(subject) for subject in binding.get("subjects") or ()
        ):
            place, ref = _place(binding), binding["roleRef"]
            role = roles[_key(ref["kind"], place, ref["name"])]
            rights.update(r for rule in role.get("rules") or () for r in _of_rule(rule, place))
    return rights


def events_in(log: Path, account: Account) -> list[Object]:
    """Return what an API server wrote down of an account's requests."""
    events = [json.loads(line) for line in log.read_text().splitlines()]
    return [e for e in events if e["user"]["username"] == account.user]


def used(events: Iterable[Object], tenants: Iterable[str] = ()) -> set[Right]:
    """Return what was done that RBAC allowed; `tenants` are namespaces that people made."""
    theirs = frozenset(tenants)
    return {
        right
        for event in events
        if _decision(event) == "allow" and "objectRef" in event
        for right in _of_event(event, theirs)
    }


def refused(events: Iterable[Object]) -> list[str]:
    """Return what was asked for and RBAC forbade."""
    return [f"{e['verb']} {e['requestURI']}" for e in events if _decision(e) == "forbid"]


def _decision(event: Object) -> str | None:
    said: str | None = event.get("annotations", {}).get("authorization.k8s.io/decision")
    return said


def _place(obj: Object) -> str:
    where: str = obj["metadata"].get("namespace", EVERYWHERE)
    return where


def _key(kind: str, place: str, name: str) -> tuple[str, str, str]:
    return kind, "" if kind == "ClusterRole" else place, name


def _of_rule(rule: Object, place: str) -> Iterator[Right]:
    for verb in rule["verbs"]:
        for url in rule.get("nonResourceURLs") or ():
            yield Right("", url, verb, place)
        for group in rule.get("apiGroups") or ():
            for resource in rule.get("resources") or ():
                for name in rule.get("resourceNames") or (ANY,):
                    yield _normal(Right(group, resource, verb, place, name))


def _of_event(event: Object, tenants: frozenset[str]) -> Iterator[Right]:
    ref = event["objectRef"]
    sub = ref.get("subresource")
    resource = f"{ref['resource']}/{sub}" if sub else ref["resource"]
    name = ref.get("name", ANY)
    # the log takes the name from what was made; a POST to a collection has none that a role could be held to
    if event["verb"] == "create" and not sub and resource != "namespaces":
        name = ANY
    place = ref.get("namespace", EVERYWHERE)
    right = _normal(Right(ref.get("apiGroup", ""), resource, event["verb"], place, name))
    right = right._replace(place=_kind_of(right.place, tenants))
    yield right
    if event["verb"] == "patch" and event.get("responseStatus", {}).get("code") == 201:
        yield right._replace(verb="create")  # an apply that makes an object needs both


def _normal(right: Right) -> Right:
    """Return a right on a namespace itself as one in it: servers show and judge it as both."""
    if right.resource.partition("/")[0] != "namespaces" or right.name == ANY:
        return right
    return right._replace(place=right.name, name=ANY)


def _kind_of(namespace: str, tenants: frozenset[str]) -> str:
    if namespace in tenants:
        return TENANTS
    is_claims = _CLAIM_NAMESPACE.fullmatch(namespace) and namespace != PROBE_NAMESPACE
    return CLAIMS if is_claims else namespace
