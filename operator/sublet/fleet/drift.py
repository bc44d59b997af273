"""Sees within one probe that a policy of ours was touched in a leased cluster, from versions alone.

The full proof takes thirty requests, so it is made every hour. Four lists of metadata are cheap enough for each probe,
and what they show decides nothing: it only makes the proof due at once. The operator can't write policies.
"""

from typing import Final

import msgspec

from sublet.fleet.isolation import MUTATING, VALIDATING
from sublet.kube.errors import NotFound
from sublet.kube.session import ApiServer
from sublet.kube.wire import HasMeta

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


class _Metadata(msgspec.Struct):
    items: list[HasMeta] | None = None
    """Null of an empty list of metadata."""


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
                listed = await self._api.list_metadata(f"{_GROUP}/{plural}", _Metadata)
            except NotFound:  # below 1.36 nothing mutates
                continue
            metas = (item.metadata for item in listed.items or ())
            found |= {(plural, m.name, m.uid, m.resource_version) for m in metas if m.name in names}
        before, self._seen = self._seen, frozenset(found)
        return before is not None and before != self._seen
