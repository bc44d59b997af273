"""What a claim's namespace should hold against what it holds. Pure.

Expected is what binding would make now; observed is what the cluster lists. Fields that the server or somebody else
adds beside ours don't count, unless they are part of a whole that is ours: a quota's numbers, a policy's rules.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, Final

from sublet.api.ids import ClaimUID
from sublet.binder.namespace import (
    CAPABILITIES,
    CLAIM_LABEL,
    EXTRA_RESOURCES,
    Home,
    contents,
    namespace,
)
from sublet.kube.quantities import quantity

Obj = Mapping[str, Any]
Place = tuple[str, str]
"""(plural, name) inside a namespace"""

PLURALS: Final[Mapping[str, str]] = {
    "resourcequotas": "/api/v1",
    "limitranges": "/api/v1",
    "serviceaccounts": "/api/v1",
    "networkpolicies": "/apis/networking.k8s.io/v1",
    "rolebindings": "/apis/rbac.authorization.k8s.io/v1",
    "roles": "/apis/rbac.authorization.k8s.io/v1",
}
"""What stands in claim namespaces, by plural -> its API"""
_WHOLES: Final[Mapping[str, tuple[str, ...]]] = {
    "resourcequotas": ("spec",),
    "limitranges": ("spec",),
    "serviceaccounts": (),
    "networkpolicies": ("spec",),
    "rolebindings": ("roleRef", "subjects"),
    "roles": ("rules",),
}
"""plural -> the fields that are ours as a whole"""
_POD_SECURITY: Final = "pod-security.kubernetes.io/"


class What(StrEnum):
    """How something differs."""

    MISSING = "is missing"
    CHANGED = "was changed"


@dataclass(frozen=True, slots=True)
class Difference:
    """One object that isn't as it should be."""

    plural: str
    name: str
    what: What

    def __str__(self) -> str:
        return f"{self.plural}/{self.name} {self.what}"


@dataclass(frozen=True, slots=True)
class Observed:
    """What one namespace is and holds, as listed; only what carries the claim's label."""

    namespace: Obj | None
    """None: there is none of this name."""
    objects: Mapping[Place, Obj] = field(default_factory=dict)

    @property
    def is_ending(self) -> bool:
        """Say whether somebody deleted it."""
        meta = self.namespace["metadata"] if self.namespace is not None else {}
        return meta.get("deletionTimestamp") is not None

    def is_of(self, uid: ClaimUID) -> bool:
        """Say whether it carries a claim's label."""
        return self.namespace is not None and _labels(self.namespace).get(CLAIM_LABEL) == uid


def differences(home: Home, seen: Observed) -> list[Difference]:
    """Return what differs in a namespace that is there, isn't going, and is the claim's."""
    found = []
    if seen.namespace is not None and namespace_patch(home, seen.namespace):
        found.append(Difference("namespaces", home.name, What.CHANGED))
    for path, wanted in contents(home):
        plural, name = path.split("/")[-2:]
        live = seen.objects.get((plural, name))
        if live is None:
            found.append(Difference(plural, name, What.MISSING))
        elif not is_same(plural, wanted, live):
            found.append(Difference(plural, name, What.CHANGED))
    return found


def namespace_patch(home: Home, live: Obj) -> list[dict[str, Any]]:
    """Return the JSON patch that puts a namespace's marks back, [] if they are as they should be.

    The claim's own label isn't among them: without it the namespace isn't known to be ours.
    """
    meta = namespace(home)["metadata"]
    patch: list[dict[str, Any]] = []
    wanted_labels = {k: v for k, v in meta["labels"].items() if k != CLAIM_LABEL}
    labels, annotations = _labels(live), live["metadata"].get("annotations") or {}
    strange = {k for k in labels if k.startswith(_POD_SECURITY) and "/enforce" in k} - {
        *wanted_labels
    }
    gone = {k for k in (EXTRA_RESOURCES, CAPABILITIES) if k in annotations} - {*meta["annotations"]}
    patch += _put("labels", labels, wanted_labels)
    patch += _put("annotations", annotations, meta["annotations"])
    patch += [{"op": "remove", "path": _pointer("labels", k)} for k in sorted(strange)]
    patch += [{"op": "remove", "path": _pointer("annotations", k)} for k in sorted(gone)]
    if not patch:
        return []
    return [{"op": "test", "path": "/metadata/uid", "value": live["metadata"]["uid"]}, *patch]


def is_same(plural: str, wanted: Obj, live: Obj) -> bool:
    """Say whether what is ours of an object is as we would write it."""
    if _labels(live).get(CLAIM_LABEL) != _labels(wanted).get(CLAIM_LABEL):
        return False
    return all(_plain(wanted.get(f)) == _plain(live.get(f)) for f in _WHOLES[plural])


def is_made_by(live: Obj, manager: str) -> bool:
    """Say whether a field manager wrote an object: who made it, also if a label was taken off since."""
    managed = live["metadata"].get("managedFields") or ()
    return any(m.get("manager") == manager for m in managed)


def _plain(value: Any) -> Any:
    """Return a value in which equal quantities are equal and what is empty is left out, as servers do."""
    if isinstance(value, Mapping):
        return {k: p for k, v in value.items() if (p := _plain(v)) is not None}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return _number(value) if isinstance(value, str) else value


def _number(text: str) -> Decimal | str:
    if not text or not text[0].isdigit():
        return text
    try:
        return quantity(text)
    except (ValueError, InvalidOperation):
        return text


def _labels(obj: Obj) -> Mapping[str, str]:
    labels: Mapping[str, str] = obj["metadata"].get("labels") or {}
    return labels


def _put(section: str, live: Mapping[str, str], wanted: Mapping[str, str]) -> list[dict[str, Any]]:
    missing = {k: v for k, v in wanted.items() if live.get(k) != v}
    if missing and not live:
        return [{"op": "add", "path": f"/metadata/{section}", "value": missing}]
    return [{"op": "add", "path": _pointer(section, k), "value": v} for k, v in missing.items()]


def _pointer(section: str, key: str) -> str:
    return f"/metadata/{section}/" + key.replace("~", "~0").replace("/", "~1")
