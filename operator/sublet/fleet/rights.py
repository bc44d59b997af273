"""Which of its rights the operator lacks in a leased cluster, asked in one request.

A right that somebody took away shows as a refused step of some claim, or as nothing at all until it is needed. So the
cluster is asked what its credential may do (SelfSubjectRulesReview, which everybody may ask), beside each proof of
isolation and whenever a step was refused. Onboarding grants exactly these; a test compares.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sublet.fleet.isolation import EXTRA_ROLE, PROBE_NAMESPACE, TENANT_ACCOUNT, TENANT_ROLE
from sublet.kube.errors import BadAnswer, NotFound
from sublet.kube.session import ApiServer

_RBAC: Final = "rbac.authorization.k8s.io"
_OURS: Final = "sublet"
"""What a bind makes in a claim namespace is called so, but for accounts and roles."""
_REVIEW: Final = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One verb on one resource; on one object of it where there is a name."""

    group: str
    resource: str
    verb: str
    name: str = ""

    def __str__(self) -> str:
        """Return it as a person says it."""
        of = f".{self.group}" if self.group else ""
        return f"{self.verb} {self.resource}{of}{f' {self.name}' if self.name else ''}"


def _rights(group: str, resource: str, *verbs: str, name: str = "") -> tuple[Right, ...]:
    return tuple(Right(group, resource, verb, name) for verb in verbs)


NEEDED: Final = (
    *_rights("", "nodes", "get", "list", "watch", "patch"),
    *_rights("", "pods", "list", "create", "deletecollection"),
    *_rights("", "namespaces", "get", "list", "create", "patch", "delete"),
    *_rights("", "resourcequotas", "list", "create"),
    *_rights("", "resourcequotas", "get", "patch", name=_OURS),
    *_rights("", "limitranges", "list", "create"),
    *_rights("", "limitranges", "patch", name=_OURS),
    *_rights("networking.k8s.io", "networkpolicies", "list", "create"),
    *_rights("networking.k8s.io", "networkpolicies", "patch", name=_OURS),
    *_rights("", "serviceaccounts", "list", "create"),
    *_rights("", "serviceaccounts", "patch", "delete", name=TENANT_ACCOUNT),
    *_rights("", "serviceaccounts/token", "create", name=TENANT_ACCOUNT),
    *_rights(_RBAC, "rolebindings", "list", "create"),
    *_rights(_RBAC, "rolebindings", "patch", "delete", name=TENANT_ROLE),
    *_rights(_RBAC, "rolebindings", "patch", "delete", name=EXTRA_ROLE),
    *_rights(_RBAC, "clusterroles", "bind", name=TENANT_ROLE),
    *_rights(_RBAC, "roles", "list"),
    *_rights(_RBAC, "roles", "create", "patch", "bind", "escalate", name=EXTRA_ROLE),
    *(
        Right("admissionregistration.k8s.io", f"{kind}admissionpol{end}", verb)
        for kind in ("validating", "mutating")
        for end in ("icies", "icybindings")
        for verb in ("get", "list")
    ),
)
"""What the operator does in a leased cluster (`sublet.manifests` grants it)."""
_OF_PROOF: Final = frozenset(
    str(right)
    for right in NEEDED
    if right.group == "admissionregistration.k8s.io" or str(right) == "create pods"
)


async def find_missing_rights(api: ApiServer) -> tuple[str, ...]:
    """Return the rights that the credential lacks, sorted; none if the cluster can't list them all.

    Raises the session's errors as they come.
    """
    asked = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": PROBE_NAMESPACE},
    }
    try:
        status = (await api.create(_REVIEW, asked)).get("status") or {}
        if status.get(
            "incomplete"
        ):  # an authorizer that can't list its rules: no finding either way
            return ()
        return missing(status.get("resourceRules") or ())
    except NotFound:
        return ()
    except (AttributeError, TypeError) as error:  # no review, whatever it is
        raise BadAnswer(f"a review of rights of another shape: {type(error).__name__}") from error


def hides_isolation(lacks: Iterable[str]) -> bool:
    """Say whether isolation can't be proven without these rights."""
    return not _OF_PROOF.isdisjoint(lacks)


def missing(rules: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return which of the needed rights no rule gives."""
    given = list(rules)
    return tuple(str(right) for right in NEEDED if not any(_gives(rule, right) for rule in given))


def _gives(rule: Mapping[str, Any], right: Right) -> bool:
    names = rule.get("resourceNames") or ()
    return (
        _has(rule, "apiGroups", right.group)
        and _has(rule, "resources", right.resource)
        and _has(rule, "verbs", right.verb)
        and (not names or right.name in names)
    )


def _has(rule: Mapping[str, Any], field: str, wanted: str) -> bool:
    values = rule.get(field) or ()
    return "*" in values or wanted in values
