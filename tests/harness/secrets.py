"""Looking for secret bytes where none may be: whole tokens, and long pieces of them."""

import base64
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.harness.stack import NAMESPACE, Stack

_PIECE = 24
_BASE64 = re.compile(r"[A-Za-z0-9+/]{64,}={0,2}")


def tokens_of(stack: Stack) -> list[str]:
    """Return every token that the hub keeps: the operator's in leased clusters, and the tenants'."""
    found = []
    for secret in stack.get("hub", "secrets", "-A")["items"]:
        for text in (secret.get("data") or {}).values():
            plain = base64.b64decode(text).decode(errors="replace")
            config: Any = yaml.safe_load(plain) if plain.startswith("apiVersion: v1") else {}
            users = config.get("users", []) if isinstance(config, dict) else []
            found += [u["user"]["token"] for u in users if "token" in u.get("user", {})]
    assert found, "no token to look for"
    return found


def leaks(text: str, tokens: list[str]) -> list[str]:
    """Return which tokens a text holds, as the end of their signatures, plain or in anything that is base64."""
    plain = "\n".join([text, *_decoded(text)])
    return [t[-6:] for t in tokens if t[-_PIECE:] in plain]


def _decoded(text: str) -> Iterator[str]:
    """Yield what is behind long runs of base64."""
    for run in _BASE64.findall(text):
        yield base64.b64decode(run[: len(run) // 4 * 4]).decode(errors="replace")


def places(stack: Stack, *files: Path) -> Iterator[tuple[str, str]]:
    """Yield (where, text) of all that the operator shows on the hub, and of these files."""
    kinds = "gpuclaims,gpuleases,gpuclasses,gputenants,events.events.k8s.io"
    yield "objects and events", stack.kubectl("hub", "get", kinds, "-A", "-o", "json")
    yield "leader lease", stack.kubectl("hub", "get", "leases", "-n", NAMESPACE, "-o", "json")
    for file in files:
        yield file.name, file.read_text(errors="replace")
