"""`sublet kubeconfig CLAIM`: the tenant's way in, printed or merged into a kubeconfig.

Reads the claim and the Secret beside it. The file is written with mode 0600 and by rename, so that a break never
leaves half a kubeconfig. An entry that isn't this claim's is never replaced: it may be the way into another claim, or
the user's own cluster of the same name.
"""

import base64
import binascii
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from sublet.api.common import ObjectMeta
from sublet.api.gpuclaim import GpuClaim
from sublet.cli.connect import Cluster
from sublet.cli.files import write_whole
from sublet.cli.objects import with_claim
from sublet.cli.problems import Problem
from sublet.kube.documents import read_yaml
from sublet.kube.errors import NotFound

_SECTIONS: Final = ("clusters", "users", "contexts")
_KEY: Final = "value"


def command(name: str, namespace: str | None, context: str | None, into: Path | None) -> None:
    """Print the claim's kubeconfig, or merge it into a file."""
    path = into.expanduser() if into is not None else None

    async def work(hub: Cluster, raw: dict[str, Any]) -> None:
        bound = GpuClaim.model_validate(raw)
        config = await read_access(hub, bound)
        if path is None:
            print(to_text(config), end="")
            return
        names = merge_into_file(path, config, bound.metadata)
        print(f"merged into {into}; contexts: {', '.join(names)}")

    with_claim(work, name, namespace, context)


async def read_access(hub: Cluster, claim: GpuClaim) -> dict[str, Any]:
    """Return the kubeconfig of a bound claim; Problem if it isn't bound."""
    access, meta = claim.status.access, claim.metadata
    if access is None:
        raise Problem(
            f"claim {meta.key} isn't bound; `sublet explain {meta.name} -n {meta.namespace}` says why"
        )
    where = f"Secret {meta.namespace}/{access.secret_name}"
    try:
        secret = await hub.get(f"/api/v1/namespaces/{meta.namespace}/secrets/{access.secret_name}")
    except NotFound:
        raise Problem(
            f"{where} is gone; the operator writes it again when it renews the tokens"
        ) from None
    try:
        text = base64.b64decode((secret.get("data") or {})[_KEY], validate=True)
        config = read_yaml(text)
    except (KeyError, binascii.Error, ValueError):
        config = None
    if not _is_kubeconfig(config):
        raise Problem(f"{where} holds no kubeconfig; ask the platform team")
    found: dict[str, Any] = config
    return found


def merge_into_file(path: Path, access: dict[str, Any], claim: ObjectMeta) -> list[str]:
    """Merge the claim's entries into a kubeconfig file, made if it isn't there; return its contexts' names."""
    into = _read(path)
    names: dict[str, str] = {}
    for entry in access["contexts"]:
        names[entry["name"]] = _free_name(into, entry["name"], claim, names.values())
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, to_text(_merge(into, access, names)))
    return list(names.values())


def _merge(
    into: dict[str, Any], access: dict[str, Any], names: Mapping[str, str]
) -> dict[str, Any]:
    """Return a kubeconfig with the claim's entries added under the names that they get there."""
    merged: dict[str, Any] = {"apiVersion": "v1", "kind": "Config", **into}
    for section in _SECTIONS:
        kept = [e for e in into.get(section) or [] if e["name"] not in names.values()]
        merged[section] = kept + [
            {**entry, "name": names.get(entry["name"], entry["name"])} for entry in access[section]
        ]
    for context in merged["contexts"]:
        if context["name"] in names.values():
            same = {"cluster": context["name"], "user": context["name"]}
            context["context"] = {**context["context"], **same}
    if not merged.get("current-context"):
        merged["current-context"] = next(iter(names.values()), "")
    return merged


def to_text(config: dict[str, Any]) -> str:
    """Write a kubeconfig as YAML."""
    return yaml.safe_dump(config, sort_keys=False)


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        found = read_yaml(path.read_bytes())
    except (OSError, ValueError):
        raise Problem(
            f"{path} can't be read as a kubeconfig; name another file with --into"
        ) from None
    if found is None:
        return {}
    empty: dict[str, Any] = {section: [] for section in _SECTIONS}
    if not isinstance(found, dict) or not _is_kubeconfig({**empty, **found}):
        raise Problem(f"{path} is not a kubeconfig; name another file with --into")
    return found


def _free_name(into: dict[str, Any], alias: str, claim: ObjectMeta, given: Collection[str]) -> str:
    """Return the first name for a context that is free, or this claim's already, and given to no other one of it."""
    candidates = (alias, f"{alias}-{claim.name}", f"{alias}-{claim.namespace}-{claim.name}")
    for name in (each for each in candidates if each not in given):
        contexts = [c for c in into.get("contexts") or [] if c["name"] == name]
        taken = any(e["name"] == name for s in _SECTIONS for e in into.get(s) or [])
        if not taken or any(_is_claims(c, claim) for c in contexts):
            return name
    raise Problem(f"the file has entries named {', '.join(candidates)} that aren't this claim's")


def _is_claims(context: dict[str, Any], claim: ObjectMeta) -> bool:
    """Say whether a context leads into a namespace of this claim: sublet-<claim UID>-<sequence>."""
    inner = context.get("context")
    if not isinstance(inner, dict):
        return False
    return str(inner.get("namespace", "")).startswith(f"sublet-{claim.uid}-")


def _is_kubeconfig(config: Any) -> bool:
    return isinstance(config, dict) and all(
        isinstance(config.get(s), list)
        and all(isinstance(e, dict) and "name" in e for e in config[s])
        for s in _SECTIONS
    )
