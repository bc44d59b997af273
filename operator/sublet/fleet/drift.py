"""Sees within one probe that a policy of ours was touched in a leased cluster, from versions alone.

The full proof takes thirty requests, so it is made every hour. Four lists of metadata are cheap enough for each probe,
and what they show decides nothing: it only makes the proof due at once. The operator can't write policies.
"""

from typing import Final

import msgspec

from sublet.fleet.isolation import MUTATING, VALIDATING
from sublet.kube.errors import NotFound
from sublet.kube.paging import items
from sublet.kube.session import ApiServer
from sublet.kube.wire import Name, Named

_GROUP: Final = "/apis/admissionregistration.k8s.io/v1"
_WATCHED: Final = (
    ("validatingadmissionpolicies", VALIDATING),
    ("validatingadmissionpolicybindings", VALIDATING),
    ("mutatingadmissionpolicies", MUTATING),
    ("mutatingadmissionpolicybindings", MUTATING),
)
"""(plural, names that onboarding gives)"""

Versions = frozenset[tuple[str, str, str, str]]
"""(plural, name, UID, resourceVersion)"""


_MOST_PAGES: Final = 20
"""Of one kind; a cluster has some dozens of policies, and a hundred at most."""


class _Versioned(Named, rename="camel"):
    resource_version: Name = ""


class _Policy(msgspec.Struct):
    metadata: _Versioned


class PolicyWatch:
    """Compares the versions of our policies and bindings with those seen last."""

    def __init__(self, api: ApiServer) -> None:
        self._api = api
        self._seen: Versions | None = None

    async def changed(self) -> bool:
        """Look; return whether anything differs from the last look. Raises KubeError as it comes."""
        found: set[tuple[str, str, str, str]] = set()
        # one after another: at once they would keep four connections to each cluster open
        for plural, names in _WATCHED:
            try:
                path = f"{_GROUP}/{plural}"
                listed = items(self._api, path, _Policy, most=_MOST_PAGES, metadata_only=True)
                found |= {
                    (plural, p.metadata.name, p.metadata.uid, p.metadata.resource_version)
                    async for p in listed
                    if p.metadata.name in names
                }
            except NotFound:  # below 1.36 nothing mutates
                continue
        before, self._seen = self._seen, frozenset(found)
        return before is not None and before != self._seen
