"""Which context of the user's kubeconfig a command means, read as kubectl reads it.

The files of KUBECONFIG count in order and the first that says something wins; the client library lets the last one
win, so that `sublet` and `kubectl` could mean different clusters.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sublet.cli.problems import Problem
from sublet.kube.documents import read_yaml

_DEFAULT_NAMESPACE: Final = "default"


@dataclass(frozen=True, slots=True)
class Context:
    """A context: its name, and the namespace that commands work in without -n."""

    name: str
    namespace: str


def find_context(wanted: str | None, option: str = "--context") -> Context | None:
    """Return the context that is wanted by an option, else the current one; None if there is no kubeconfig at all."""
    configs = list(_configs())
    if not configs:
        if wanted is not None:
            raise Problem(f"there is no kubeconfig for {option} {wanted}; set KUBECONFIG")
        return None
    known: dict[str, Context] = {}  # name -> context
    for config in configs:
        for context in _contexts(config):
            known.setdefault(context.name, context)
    there_are = f"there are: {', '.join(sorted(known)) or 'none'}"
    name = wanted or next((str(c) for each in configs if (c := each.get("current-context"))), "")
    if not name:
        raise Problem(f"your kubeconfig has no current context; give {option} ({there_are})")
    if name not in known:
        raise Problem(f"your kubeconfig has no context {name}; give {option} ({there_are})")
    return known[name]


def config_of(name: str) -> dict[str, Any]:
    """Return a kubeconfig of nothing but a context and what it names; what is missing isn't in it either."""
    configs = list(_configs())
    context = _entry(configs, "contexts", name)
    inner = (context or {}).get("context")
    named = inner if isinstance(inner, dict) else {}
    found = {
        "contexts": context,
        "clusters": _entry(configs, "clusters", named.get("cluster")),
        "users": _entry(configs, "users", named.get("user")),
    }
    parts = {section: [entry] for section, entry in found.items() if entry is not None}
    return {"apiVersion": "v1", "kind": "Config", "current-context": name, **parts}


def _entry(configs: list[dict[str, Any]], section: str, name: object) -> dict[str, Any] | None:
    """Return the first entry of that name."""
    for config in configs:
        entries = config.get(section)
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, dict) and entry.get("name") == name:
                return entry
    return None


def _configs() -> Iterator[dict[str, Any]]:
    given = os.environ.get("KUBECONFIG") or "~/.kube/config"
    for path in (Path(part).expanduser() for part in given.split(os.pathsep) if part):
        if not path.exists():
            continue
        if path.is_fifo():
            raise Problem(
                f"{path} is a pipe, which can be read only once; write the kubeconfig into a file and set KUBECONFIG"
            )
        try:
            config = read_yaml(path.read_bytes())
        except (OSError, ValueError):
            raise Problem(f"{path} can't be read as a kubeconfig; set KUBECONFIG") from None
        if config is not None and not isinstance(config, dict):
            raise Problem(f"{path} is not a kubeconfig; set KUBECONFIG")
        yield config or {}


def _contexts(config: dict[str, Any]) -> Iterator[Context]:
    entries = config.get("contexts")
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and entry.get("name"):
            inner = entry.get("context")
            namespace = inner.get("namespace") if isinstance(inner, dict) else None
            yield Context(str(entry["name"]), str(namespace or _DEFAULT_NAMESPACE))
