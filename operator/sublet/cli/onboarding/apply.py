"""Bringing manifests to a cluster and taking them off again, with a credential of the user's own.

Policies are put as a whole, not merged: server-side apply would leave in place what a hand added to one, such as a
condition under which it never acts. Each carries the digest of its spec as the server shows it, which tells drift later,
and which version of the onboarding wrote it.
"""

import json
from collections.abc import Iterable
from typing import Any, Final

from sublet.fleet.isolation import DIGEST, ONBOARDING, notes_of, spec_digest
from sublet.kube.errors import Conflict, NotFound
from sublet.kube.session import ApiServer
from sublet.manifests.render import Manifest

_PLURALS: Final = {  # kind -> plural, where adding an s isn't enough
    "NetworkPolicy": "networkpolicies",
    "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
    "MutatingAdmissionPolicy": "mutatingadmissionpolicies",
}
_POLICIES: Final = "admissionregistration.k8s.io/v1"
_TRIES: Final = 5


def path_of(manifest: Manifest) -> str:
    """Return the URL path of an object."""
    version, kind, meta = manifest["apiVersion"], manifest["kind"], manifest["metadata"]
    base = f"/api/{version}" if "/" not in version else f"/apis/{version}"
    namespace = f"/namespaces/{meta['namespace']}" if "namespace" in meta else ""
    plural = _PLURALS.get(kind, kind.lower() + "s")
    return f"{base}{namespace}/{plural}/{meta['name']}"


def is_policy(manifest: Manifest) -> bool:
    """Say whether an object is an admission policy or a binding of one."""
    return bool(manifest["apiVersion"] == _POLICIES)


async def apply_all(api: ApiServer, manifests: Iterable[Manifest]) -> int:
    """Make a cluster's objects what the manifests say, in order; return how many had to change."""
    changed = 0
    for manifest in manifests:
        put = _put_policy if is_policy(manifest) else _apply
        changed += await put(api, manifest)
    return changed


async def with_digest(api: ApiServer, manifest: Manifest) -> Manifest:
    """Return a policy with the notes that it will have in this cluster; other objects as they are."""
    if not is_policy(manifest):
        return manifest
    body = await _digested(api, manifest, await read_or_none(api, path_of(manifest)))
    meta, noted = manifest["metadata"], body["metadata"]["annotations"]
    notes = {**meta.get("annotations", {}), **{key: noted[key] for key in (DIGEST, ONBOARDING)}}
    return {**manifest, "metadata": {**meta, "annotations": notes}}


async def read_or_none(api: ApiServer, path: str) -> dict[str, Any] | None:
    """Read an object, None if it isn't there."""
    try:
        return await api.get(path)
    except NotFound:
        return None


async def delete_if_there(api: ApiServer, path: str, uid: str) -> bool:
    """Delete the object that has this UID; return whether it was there."""
    try:
        await api.delete(path, uid=uid)
    except (NotFound, Conflict):  # Conflict: a namesake that somebody made meanwhile
        return False
    return True


async def _apply(api: ApiServer, manifest: Manifest) -> bool:
    before = await read_or_none(api, path_of(manifest))
    after = await api.apply(path_of(manifest), manifest)
    return before is None or _content(before) != _content(after)


async def _put_policy(api: ApiServer, manifest: Manifest) -> bool:
    """Put a policy as a whole; done again if somebody writes it meanwhile."""
    path = path_of(manifest)
    for attempt in range(_TRIES):
        live = await read_or_none(api, path)
        try:
            body = await _digested(api, manifest, live)
            if live is None:
                await api.create(path.rsplit("/", 1)[0], body)
                return True
            if _says(live, body):
                return False
            await api.replace(path, body)
        except Conflict:
            if attempt == _TRIES - 1:
                raise
        else:
            return True
    return False


async def _digested(api: ApiServer, manifest: Manifest, live: dict[str, Any] | None) -> Manifest:
    """Return what is to be written over `live`, notes included: the server's dry run fills the defaults in."""
    path, meta = path_of(manifest), dict(manifest["metadata"])
    if live is None:
        shown = await api.create(path.rsplit("/", 1)[0], manifest, dry_run=True)
    else:
        meta["resourceVersion"] = _version(live)
        for kept in ("labels", "annotations"):
            meta[kept] = {**(live["metadata"].get(kept) or {}), **(meta.get(kept) or {})}
        body = json.dumps({**manifest, "metadata": meta}).encode()
        shown = json.loads(await api.request("PUT", path, params={"dryRun": "All"}, body=body))
    meta["annotations"] = {**(meta.get("annotations") or {}), **notes_of(shown)}
    return {**manifest, "metadata": meta}


def _says(live: dict[str, Any], body: Manifest) -> bool:
    """Say whether a policy is there already, notes and labels included."""
    meta, wanted = live["metadata"], body["metadata"]
    same = all(
        (meta.get(k) or {}).items() >= (wanted.get(k) or {}).items()
        for k in ("labels", "annotations")
    )
    return same and spec_digest(live) == wanted["annotations"][DIGEST]


def _content(obj: dict[str, Any]) -> dict[str, Any]:
    """Return an object without what a write changes that changes nothing, such as who applied it last."""
    meta = {
        k: v
        for k, v in obj["metadata"].items()
        if k not in ("managedFields", "resourceVersion", "generation")
    }
    return {**obj, "metadata": meta}


def _version(obj: dict[str, Any]) -> str:
    return str(obj["metadata"]["resourceVersion"])
