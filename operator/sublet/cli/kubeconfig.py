"""`sublet kubeconfig CLAIM`: the tenant's way in, printed or merged into a kubeconfig.

Reads the claim and the Secret beside it. The file is written with mode 0600 and by rename, so that a break never
leaves half a kubeconfig.
"""

import base64
import os
import tempfile
from pathlib import Path
from typing import Any

import yaml

from sublet.api.gpuclaim import GpuClaim
from sublet.cli.problems import Problem
from sublet.kube.session import ApiServer

_SECTIONS = ("clusters", "users", "contexts")


async def read_access(hub: ApiServer, claim: GpuClaim) -> dict[str, Any]:
    """Return the kubeconfig of a bound claim; Problem if it isn't bound."""
    access = claim.status.access
    if access is None:
        raise Problem(
            f"claim {claim.metadata.key} isn't bound yet; "
            f"`sublet explain {claim.metadata.name} -n {claim.metadata.namespace}` says why"
        )
    path = f"/api/v1/namespaces/{claim.metadata.namespace}/secrets/{access.secret_name}"
    secret: dict[str, Any] = await hub.get(path)
    text = base64.b64decode(secret["data"]["value"])
    config: dict[str, Any] = yaml.safe_load(text)
    return config


def merge(into: dict[str, Any], access: dict[str, Any]) -> dict[str, Any]:
    """Return a kubeconfig with the claim's entries added; entries of the same name are replaced."""
    merged = {"apiVersion": "v1", "kind": "Config", **into}
    for section in _SECTIONS:
        fresh = access.get(section) or []
        names = {entry["name"] for entry in fresh}
        kept = [entry for entry in into.get(section) or [] if entry["name"] not in names]
        merged[section] = kept + fresh
    merged.setdefault("current-context", access.get("current-context", ""))
    return merged


def merge_into_file(path: Path, access: dict[str, Any]) -> None:
    """Merge the claim's entries into a kubeconfig file, made if it isn't there."""
    old: Any = yaml.safe_load(path.read_text()) if path.exists() else {}
    if not isinstance(old, dict):
        raise Problem(f"{path} is not a kubeconfig; name another file with --into")
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".kubeconfig-")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(to_text(merge(old, access)))
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def to_text(config: dict[str, Any]) -> str:
    """Write a kubeconfig as YAML."""
    return yaml.safe_dump(config, sort_keys=False)
