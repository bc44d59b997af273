"""Tenants: they make, delete and re-make claims under the same names, change their minds, and run pods."""

import asyncio
from typing import Any, Final

from tests.builders.api import claim
from tests.simulation.admission import gpus_of
from tests.simulation.answers import Refused, Request, encode
from tests.simulation.server import Server
from tests.simulation.store import Key, Object, copy
from tests.simulation.views import ClaimView
from tests.simulation.world import TENANTS, World, tokens_of

_NAMES: Final = ("train", "tune", "serve")
"""Few, so that names come again."""
_GPUS: Final = (8, 8, 8, 16, 4, 1)
_SECONDS: Final = (None, None, 20, 60, 300)


class Tenants:
    """All tenants."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rng = world.rng
        self._pods = 0

    async def act(self) -> None:
        """Do one thing."""
        act = self._rng.choice(
            (self.create, self.create, self.delete, self.make_anew, self.change, self.suspend)
        )
        done = act()
        if asyncio.iscoroutine(done):
            await done

    def create(self, namespace: str = "", name: str = "") -> None:
        """Make a claim."""
        namespace, name = (
            namespace or self._rng.choice(TENANTS),
            name or self._rng.choice(_NAMES),
        )
        seconds = self._rng.choice(_SECONDS)
        schedule = {"schedule": {"durationSeconds": seconds}} if seconds else {}
        some = {"replacement": "OnFailure"} if self._rng.random() < 0.3 else {}
        suspended = {"suspended": True} if self._rng.random() < 0.1 else {}
        gpus = self._rng.choice(_GPUS)
        few = {"minGpus": 8} if gpus == 16 and self._rng.random() < 0.3 else {}
        body = claim(name, namespace, gpus=gpus, **schedule, **some, **suspended, **few)
        self._world.note(f"{namespace} creates {name} {body['spec']}")
        self._world.admin(self._world.hub, "POST", _path(namespace), body)

    def delete(self) -> None:
        """Delete a claim."""
        found = self._any()
        if found is not None:
            self._delete(found)

    async def make_anew(self) -> None:
        """Delete a claim and make another by its name as soon as that is free."""
        found = self._any()
        if found is None:
            return
        self._delete(found)
        for _ in range(50):
            await asyncio.sleep(0.3)
            meta = found["metadata"]
            if self._world.hub.store.get("gpuclaims", meta["namespace"], meta["name"]) is None:
                self.create(meta["namespace"], meta["name"])
                return

    def change(self) -> None:
        """Change how long a claim is wanted."""
        seconds = self._rng.choice((5, 30, 90, 600))
        self._patch("/spec/schedule", {"durationSeconds": seconds})

    def suspend(self) -> None:
        """Suspend a claim or wake it."""
        self._patch("/spec/suspended", self._rng.random() < 0.5)

    async def work(self) -> None:
        """Run a pod in a claim's namespace, or end one."""
        for body in list(self._world.hub.store.all("gpuclaims")):
            view = ClaimView(body)
            if view.is_bound and self._rng.random() < 0.7:
                self._run_pod(view)

    def _run_pod(self, view: ClaimView) -> None:
        hub = self._world.hub.store
        secret = hub.get("secrets", view.namespace, f"{view.name}-kubeconfig")
        place = self._rng.choice(view.placements)
        cluster = self._world.leased[place["lease"]]
        if secret is None:
            return
        namespace = f"sublet-{view.uid}-{place.get('home') or view.sequence}"
        tokens = [t for t in tokens_of(secret) if t in cluster.users]
        if not tokens:
            return
        token = tokens[-1]
        self._pods += 1
        limits = {"nvidia.com/gpu": str(self._rng.randint(1, place["gpus"]))}
        pod = {
            "metadata": {"name": f"pod-{self._pods}"},
            "spec": {"containers": [{"name": "main", "resources": {"limits": limits}}]},
        }
        path = f"/api/v1/namespaces/{namespace}/pods"
        try:
            cluster.handle(Request("POST", path, body=encode(pod), actor="tenant"), token)
        except Refused as refused:
            self._world.note(f"pod in {namespace} refused: {refused}")
            return
        self._world.loop.later(
            self._rng.uniform(0.05, 2.0), self._schedule, cluster, namespace, f"pod-{self._pods}"
        )

    def _schedule(self, cluster: Server, namespace: str, name: str) -> None:
        """Do as the scheduler does: a node with the claim's label, no foreign taint, and room."""
        pod = cluster.store.get("pods", namespace, name)
        if pod is None or pod["metadata"].get("deletionTimestamp"):
            return
        uid = namespace.removeprefix("sublet-").rsplit("-", 1)[0]
        for node in cluster.store.all("nodes"):
            if node["metadata"].get("labels", {}).get(f"claim.sublet.dev/{uid}") != "true":
                continue
            taints = node["spec"].get("taints") or []
            if node["spec"].get("unschedulable") or any(t["key"] == "sublet.dev/leaving" for t in taints):  # fmt: skip
                continue
            name_of_node = node["metadata"]["name"]
            used = sum(gpus_of(p) for p in cluster.store.all("pods") if p["spec"].get("nodeName") == name_of_node)  # fmt: skip
            if used + gpus_of(pod) <= int(node["status"]["allocatable"]["nvidia.com/gpu"]):
                bound = copy(pod)
                bound["spec"]["nodeName"] = name_of_node
                cluster.store.put(Key("pods", namespace, name), bound, "scheduler")
                return

    def _any(self) -> Object | None:
        claims = list(self._world.hub.store.all("gpuclaims"))
        return self._rng.choice(claims) if claims else None

    def _delete(self, body: Object) -> None:
        meta = body["metadata"]
        self._world.note(f"{meta['namespace']} deletes {meta['name']}")
        self._world.admin(self._world.hub, "DELETE", f"{_path(meta['namespace'])}/{meta['name']}")

    def _patch(self, path: str, value: Any) -> None:
        found = self._any()
        if found is None:
            return
        meta = found["metadata"]
        self._world.note(f"{meta['namespace']} sets {path} of {meta['name']} to {value}")
        patch = [{"op": "add", "path": path, "value": value}]
        self._world.admin(
            self._world.hub, "PATCH", f"{_path(meta['namespace'])}/{meta['name']}", patch
        )


def _path(namespace: str) -> str:
    return f"/apis/sublet.dev/v1alpha1/namespaces/{namespace}/gpuclaims"
