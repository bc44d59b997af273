"""Server-side apply of manifests with a credential of our own, and the digests that tell drift later."""

from collections.abc import Iterable
from typing import Any, Final

from sublet.fleet.isolation import DIGEST, spec_digest
from sublet.kube.errors import NotFound
from sublet.kube.session import ApiServer
from sublet.manifests.render import Manifest

_PLURALS: Final = {  # kind -> plural, where adding an s isn't enough
    "NetworkPolicy": "networkpolicies",
    "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
    "MutatingAdmissionPolicy": "mutatingadmissionpolicies",
}
_POLICIES: Final = "admissionregistration.k8s.io/v1"


def path_of(manifest: Manifest) -> str:
    """Return the URL path of an object."""
    version, kind, meta = manifest["apiVersion"], manifest["kind"], manifest["metadata"]
    base = f"/api/{version}" if "/" not in version else f"/apis/{version}"
    namespace = f"/namespaces/{meta['namespace']}" if "namespace" in meta else ""
    plural = _PLURALS.get(kind, kind.lower() + "s")
    return f"{base}{namespace}/{plural}/{meta['name']}"


async def apply_all(api: ApiServer, manifests: Iterable[Manifest]) -> int:
    """Apply manifests in order, policies with the digest of their spec as the server shows it; return how many."""
    count = 0
    for manifest in manifests:
        if manifest["apiVersion"] == _POLICIES:
            live = await api.apply(path_of(manifest), manifest)
            digest = {"annotations": {DIGEST: spec_digest(live)}}
            manifest = {**manifest, "metadata": {**manifest["metadata"], **digest}}  # noqa: PLW2901  the same manifest, marked
        await api.apply(path_of(manifest), manifest)
        count += 1
    return count


async def delete_all(api: ApiServer, manifests: Iterable[Manifest]) -> int:
    """Delete manifests, last applied first; return how many were there."""
    count = 0
    for manifest in reversed(list(manifests)):
        try:
            await api.delete(path_of(manifest))
        except NotFound:
            continue
        count += 1
    return count


async def read_or_none(api: ApiServer, path: str) -> dict[str, Any] | None:
    """Read an object, None if it isn't there."""
    try:
        return await api.get(path)
    except NotFound:
        return None
