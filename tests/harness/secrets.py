"""Looking for secret bytes where none may be: whole tokens, and long pieces of them."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.harness.stack import NAMESPACE, Stack

_PIECE = 24


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
    """Return which tokens a text holds, whole, in part (the signature's end) or once more encoded."""
    return [
        t[:6]
        for t in tokens
        if t[-_PIECE:] in text or base64.b64encode(t.encode()).decode()[:64] in text
    ]


def places(stack: Stack, *files: Path) -> Iterator[tuple[str, str]]:
    """Yield (where, text) of all that the operator shows on the hub, and of these files."""
    kinds = "gpuclaims,gpuleases,gpuclasses,gputenants,events.events.k8s.io"
    yield "objects and events", stack.kubectl("hub", "get", kinds, "-A", "-o", "json")
    yield "leader lease", stack.kubectl("hub", "get", "leases", "-n", NAMESPACE, "-o", "json")
    for file in files:
        yield file.name, file.read_text(errors="replace")
