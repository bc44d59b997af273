"""The controllers and kubelets of a cluster, as far as the operator waits for them: each acts late, none forgets.

Quota: status.hard is filled some time after spec (controller resourcequota). Namespaces: pods first, then the rest, then
the namespace itself (KEP-5080). Pods: a kubelet ends them within their grace; where the node is gone, pod GC does.
Secrets on the hub: collected with the claim that owns them.
"""

import random
from typing import Final

from tests.simulation.answers import Request, Where
from tests.simulation.loop import SimLoop
from tests.simulation.server import Server
from tests.simulation.store import Change, Key, Object, copy

_GC_SECONDS: Final = 20.0


class Controllers:
    """All of one cluster."""

    def __init__(self, server: Server, loop: SimLoop, rng: random.Random) -> None:
        self._server, self._loop, self._rng = server, loop, rng
        self._store = server.store
        self._acts = {
            "resourcequotas": self._quota,
            "namespaces": self._namespace,
            "pods": self._pod,
            "gpuclaims": self._owner,
            "secrets": self._owned,
        }
        self.slow = False
        """They take seconds instead of milliseconds."""
        self._store.followers.append(self._follow)

    def resync(self) -> None:
        """Look at everything again, as after a restart of the control plane."""
        for key, obj in list(self._store.objects.items()):
            self._follow(Change(0, "MODIFIED", key, obj, None, ""))

    def _follow(self, change: Change) -> None:
        act = self._acts.get(change.key.resource)
        if act is not None:
            self._loop.later(self._delay(), act, change.key, change.after)

    def _delay(self) -> float:
        return self._rng.uniform(0.01, 3.0 if self.slow else 0.1)

    def _quota(self, key: Key, _: Object) -> None:
        live = self._store.objects.get(key)
        if live is None:
            return
        hard = live["spec"]["hard"]
        if (live.get("status") or {}).get("hard") != hard:
            self._store.put(key, {**copy(live), "status": {"hard": dict(hard), "used": {}}})

    def _namespace(self, key: Key, seen: Object) -> None:
        live = self._store.objects.get(key)
        if live is None or "deletionTimestamp" not in live["metadata"]:
            return
        if live["metadata"]["uid"] != seen["metadata"]["uid"]:
            return
        inside = [k for k in self._store.objects if k.namespace == key.name]
        pods = [k for k in inside if k.resource == "pods"]
        for each in pods or inside[: self._rng.randint(1, 3)]:
            self._delete(each)
        if inside:
            self._loop.later(self._delay() * 3, self._namespace, key, seen)
        else:
            self._store.remove(key)

    def _delete(self, key: Key) -> None:
        where = Where(key.resource, key.namespace, key.name, "")
        self._server.delete(where, {}, Request("DELETE", ""))

    def _pod(self, key: Key, seen: Object) -> None:
        live = self._store.objects.get(key)
        if live is None or live["metadata"]["uid"] != seen["metadata"]["uid"]:
            return
        node = self._store.get("nodes", "", live["spec"].get("nodeName", ""))
        if node is None:
            if live["spec"].get("nodeName"):
                self._loop.later(_GC_SECONDS, self._end, key, live)
            return
        if "deletionTimestamp" in live["metadata"]:
            grace = live["metadata"]["deletionGracePeriodSeconds"]
            self._loop.later(self._rng.uniform(0.05, min(grace, 12)), self._end, key, live)

    def _end(self, key: Key, seen: Object) -> None:
        """Let a pod be gone, if its node isn't out of sight; else look again later."""
        live = self._store.objects.get(key)
        if live is None or live["metadata"]["uid"] != seen["metadata"]["uid"]:
            return
        node = self._store.get("nodes", "", live["spec"]["nodeName"])
        if node is not None and not is_ready(node):
            self._loop.later(2.0, self._end, key, live)
        elif node is None or "deletionTimestamp" in live["metadata"]:
            self._store.remove(key)

    def _owner(self, key: Key, seen: Object) -> None:
        """Collect the Secrets of a claim that is gone."""
        uid = seen["metadata"]["uid"]
        live = self._store.objects.get(key)
        if live is not None and live["metadata"]["uid"] == uid:
            return
        for secret in list(self._store.all("secrets", key.namespace)):
            owners = secret["metadata"].get("ownerReferences") or ()
            if any(o["uid"] == uid for o in owners):
                self._store.remove(Key("secrets", key.namespace, secret["metadata"]["name"]))

    def _owned(self, key: Key, seen: Object) -> None:
        """Collect a Secret that was made when its claim was gone already."""
        live = self._store.objects.get(key)
        owners = {o["uid"] for o in seen["metadata"].get("ownerReferences") or ()}
        there = {c["metadata"]["uid"] for c in self._store.all("gpuclaims", key.namespace)}
        same = live is not None and live["metadata"]["uid"] == seen["metadata"]["uid"]
        if same and owners and not owners & there:
            self._store.remove(key)


def is_ready(node: Object) -> bool:
    """Say whether a node's kubelet is heard."""
    return any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"]["conditions"])
