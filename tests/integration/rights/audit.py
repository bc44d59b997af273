"""Rights as granted and rights as used, in one form: what a role says against what an API server's audit log shows."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from sublet.manifests.render import Manifest

Right = tuple[str, str, str]
"""(API group, resource with its subresource, verb)"""

PREREQUISITES = {"bind", "escalate"}
"""Verbs that no request has: the server looks for them when it judges another request."""


def granted(manifests: Iterable[Manifest], account: str) -> set[Right]:
    """Return what all roles that are bound to a ServiceAccount grant, without the prerequisites."""
    objects = list(manifests)
    bound = {
        (m["roleRef"]["kind"], m["roleRef"]["name"])
        for m in objects
        if m["kind"].endswith("RoleBinding")
        and any(s["kind"] == "ServiceAccount" and s["name"] == account for s in m["subjects"])
    }
    roles = [m for m in objects if (m["kind"], m["metadata"]["name"]) in bound]
    return {right for role in roles for rule in role["rules"] for right in _rights(rule)}


def used(log: Path, user: str) -> set[Right]:
    """Return what a user did that RBAC allowed, by the API server's audit log."""
    rights: set[Right] = set()
    for line in log.read_text().splitlines():
        event = json.loads(line)
        allowed = event.get("annotations", {}).get("authorization.k8s.io/decision") == "allow"
        if event["user"]["username"] == user and allowed and "objectRef" in event:
            rights |= set(_of_event(event))
    return rights


def refused(log: Path, user: str) -> list[str]:
    """Return what a user asked for and RBAC forbade."""
    events = [json.loads(line) for line in log.read_text().splitlines()]
    return [
        f"{e['verb']} {e['requestURI']}"
        for e in events
        if e["user"]["username"] == user
        and e.get("annotations", {}).get("authorization.k8s.io/decision") == "forbid"
    ]


def _rights(rule: Manifest) -> Iterator[Right]:
    for group in rule["apiGroups"]:
        for resource in rule["resources"]:
            for verb in set(rule["verbs"]) - PREREQUISITES:
                yield group, resource, verb


def _of_event(event: Manifest) -> Iterator[Right]:
    ref = event["objectRef"]
    sub = ref.get("subresource")
    resource = f"{ref['resource']}/{sub}" if sub else ref["resource"]
    group = ref.get("apiGroup", "")
    yield group, resource, event["verb"]
    if event["verb"] == "patch" and event.get("responseStatus", {}).get("code") == 201:
        yield group, resource, "create"  # an apply that makes an object needs both
