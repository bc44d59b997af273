"""Writes to a claim on the hub, each a compare-and-set.

A status is put whole with the UID and resourceVersion that it was decided on; finalizers go by a JSON patch with tests
on both. A merge patch with only a UID is no compare-and-set on a custom resource, and a JSON patch of a whole status
costs the API server a tenth more than a PUT. A write that changes nothing is not sent.
"""

from collections.abc import Mapping
from typing import Any, Final

from sublet.api.gpuclaim import ClaimStatus, GpuClaim
from sublet.api.kinds import CLAIMS, RELEASE_FINALIZER
from sublet.api.names import API_VERSION
from sublet.api.reading import Unreadable, read_claim
from sublet.binder.dropped import DroppedFields
from sublet.kube.errors import Conflict, Invalid, KubeError, NotFound
from sublet.kube.session import ApiServer, JsonPatch

_DUMP: Final[dict[str, Any]] = {"mode": "json", "by_alias": True, "exclude_none": True}


class Outrun(Exception):
    """The claim changed under us; look at it again."""


class Unread(KubeError):
    """The hub shows a claim of which nobody can tell what it holds: nothing is done for it, and it is read again later."""


def read(raw: Mapping[str, Any], last: GpuClaim | None = None) -> GpuClaim:
    """Return a claim that the hub shows, with the spec of `last` if its own can't be read."""
    try:
        return read_claim(raw, last)
    except Unreadable as error:
        meta = raw["metadata"]
        raise Unread(f"claim {meta['namespace']}/{meta['name']} can't be read: {error}") from error


class ClaimWriter:
    """Reads and writes claims, guarded; `dropped` is told what of a status the hub keeps."""

    def __init__(self, hub: ApiServer, dropped: DroppedFields) -> None:
        self._hub = hub
        self._dropped = dropped

    async def get(self, claim: GpuClaim) -> GpuClaim | None:
        """Read the claim live; None if it, or this very one of its name, is gone."""
        meta = claim.metadata
        try:
            raw = await self._hub.get(CLAIMS.path(meta.namespace, meta.name))
        except NotFound:
            return None
        try:
            live = read(raw, claim)
        except Unread:
            if raw["metadata"]["uid"] != meta.own_uid:
                return None
            raise
        return live if live.metadata.uid == meta.uid else None

    async def write_status(self, claim: GpuClaim, status: ClaimStatus) -> GpuClaim:
        """Replace the status if the claim is still as it was; Outrun if not. Returns the claim as written."""
        if status == claim.status:
            return claim
        meta = claim.metadata
        body: dict[str, Any] = {
            "apiVersion": API_VERSION,
            "kind": CLAIMS.name,
            "metadata": {
                "namespace": meta.namespace,
                "name": meta.name,
                "uid": meta.own_uid,
                "resourceVersion": meta.resource_version,
            },
            "status": status.model_dump(**_DUMP),
        }
        try:
            answer = await self._hub.replace(CLAIMS.path(meta.namespace, meta.name, "status"), body)
        except NotFound as error:
            raise Outrun(f"claim {meta.key} is gone") from error
        except Conflict as error:
            raise Outrun(f"claim {meta.key} changed meanwhile: {error.message}") from error
        written = read(answer, claim)
        self._dropped.compare(written, body["status"], answer.get("status") or {})
        return written

    async def add_finalizer(self, claim: GpuClaim) -> GpuClaim:
        """Put the release finalizer on, if admission hasn't."""
        if RELEASE_FINALIZER in claim.metadata.finalizers:
            return claim
        finalizers = [*claim.metadata.finalizers, RELEASE_FINALIZER]
        return await self._patch(claim, [*_tests(claim), _finalizers(finalizers)])

    async def remove_finalizer(self, claim: GpuClaim) -> None:
        """Take the release finalizer off, with which a deleted claim is gone; Outrun if it changed meanwhile."""
        if RELEASE_FINALIZER not in claim.metadata.finalizers:
            return
        kept = [f for f in claim.metadata.finalizers if f != RELEASE_FINALIZER]
        try:
            await self._patch(claim, [*_tests(claim), _finalizers(kept)])
        except Outrun:
            if await self.get(claim) is not None:
                raise

    async def _patch(self, claim: GpuClaim, patch: JsonPatch) -> GpuClaim:
        meta = claim.metadata
        try:
            answer = await self._hub.patch(CLAIMS.path(meta.namespace, meta.name), patch)
        except NotFound as error:
            raise Outrun(f"claim {meta.key} is gone") from error
        except (Invalid, Conflict) as error:
            await self._raise_if_refused(claim, error)
            raise Outrun(f"claim {meta.key} changed meanwhile: {error.message}") from error
        return read(answer, claim)

    async def _raise_if_refused(self, claim: GpuClaim, error: Invalid | Conflict) -> None:
        """Raise the server's error if the claim is as it was: then the write itself is wrong, not outrun."""
        if isinstance(error, Conflict):
            return
        live = await self.get(claim)
        if live is not None and live.metadata.resource_version == claim.metadata.resource_version:
            raise error


def _tests(claim: GpuClaim) -> JsonPatch:
    return [
        {"op": "test", "path": "/metadata/uid", "value": claim.metadata.own_uid},
        {
            "op": "test",
            "path": "/metadata/resourceVersion",
            "value": claim.metadata.resource_version,
        },
    ]


def _finalizers(value: list[str]) -> dict[str, Any]:
    return {"op": "add", "path": "/metadata/finalizers", "value": value}
