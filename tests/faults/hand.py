"""What a person, a landlord or a cloud does in a test, as the planes' admin, and waiting for what comes of it.

Nothing here goes through the proxies: what a plan does to the operator's requests never touches the test's own.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any, Final, TypeVar

from sublet.api.kinds import CLAIMS, LEASES
from sublet.api.times import Millis, format_instant
from sublet.kube.errors import Conflict, NotFound
from sublet.kube.session import ApiServer
from tests.builders.api import claim, lease
from tests.builders.nodes import gpu_node
from tests.faults.journal import masked
from tests.harness.stack import condition

T = TypeVar("T")

ACME: Final = "acme"
LEASED: Final = ("west", "east")
NODES: Final = 2
"""Of each leased cluster."""
SETTLE_SECONDS: Final = 120.0
Object = dict[str, Any]
_ROOTS: Final = {
    "nodes": "/api/v1",
    "secrets": "/api/v1",
    "priorityclasses": "/apis/scheduling.k8s.io/v1",
}


class NotSettled(Exception):
    """The end wasn't reached in time."""


class Hand:
    """Does things to objects of one run, which are told apart by its number in their names."""

    def __init__(self) -> None:
        self.run = 0
        self.seen: dict[
            str, str
        ] = {}  # UID -> name without the run, of whatever was made in this run
        self.leases: dict[str, str] = {}  # UID of each lease -> the plane that it leads to
        self.api: dict[str, ApiServer] = {}  # plane -> as its admin

    def name(self, base: str) -> str:
        """Return an object's name in this run."""
        return f"{base}-x{self.run}"

    async def make_claim(self, base: str, *, on: Iterable[str] = (), **spec: Any) -> Object:
        """Create a claim, on these leases alone if any are named."""
        placement = {"placement": {"leases": {"allow": list(on)}}} if on else {}
        body = claim(self.name(base), ACME, **placement, **spec)
        made = await self.api["hub"].create(CLAIMS.path(ACME), body)
        self.seen[made["metadata"]["uid"]] = masked(base)
        return made

    async def claim(self, base: str) -> Object | None:
        """Return a claim of this run, None if it is gone."""
        return await self.get("hub", CLAIMS.path(ACME, self.name(base)))

    async def delete_claim(self, base: str) -> None:
        """Ask for a claim's deletion."""
        await self.delete("hub", CLAIMS.path(ACME, self.name(base)))

    async def make_node(self, plane: str, name: str, pool: str = "") -> Object:
        """Create a node of a pool."""
        node = gpu_node(name, labels={"pool": pool or plane})
        made = await self.api[plane].create("/api/v1/nodes", node)
        self.seen[made["metadata"]["uid"]] = "node"
        return made

    async def cordon(self, plane: str, name: str, *, cordoned: bool) -> None:
        """Cordon a node, or take that back."""
        value = {"op": "add", "path": "/spec/unschedulable", "value": cordoned}
        await self.change(plane, f"/api/v1/nodes/{name}", value)

    async def delete(self, plane: str, path: str) -> None:
        """Delete an object, if it is there."""
        with suppress(NotFound):
            await self.api[plane].delete(path)

    @staticmethod
    def instant(seconds: float) -> str:
        """Return an instant so many seconds from now, as the API has it."""
        return format_instant(Millis(int((time.time() + seconds) * 1_000)))

    async def make_lease(self, name: str, plane: str, **spec: Any) -> Object:
        """Create a lease of the nodes whose label `pool` is its name."""
        ref = {"clusterRef": {"kubeconfigSecretRef": {"name": plane}}}
        body = lease(name, nodeSelector={"pool": name}, **ref, **spec)
        made = await self.api["hub"].create(LEASES.path(), body)
        self.leases[made["metadata"]["uid"]] = plane
        return made

    async def change(self, plane: str, path: str, *operations: Object) -> Object:
        """Send a JSON patch, again if it is outrun."""
        for _ in range(20):
            try:
                return await self.api[plane].patch(path, list(operations))
            except Conflict:
                continue
        raise NotSettled(f"{path} changes too fast")

    async def get(self, plane: str, path: str) -> Object | None:
        """Read an object as the plane's admin, None if it isn't there."""
        try:
            return await self.api[plane].get(path)
        except NotFound:
            return None

    async def items(self, plane: str, path: str, **params: str) -> list[Object]:
        """List as the plane's admin."""
        found: list[Object] = (await self.api[plane].get(path, **params))["items"]
        return found

    async def wait(
        self, what: str, look: Callable[[], Awaitable[T | None]], *, seconds: float = SETTLE_SECONDS
    ) -> T:
        """Return the first truthy thing that `look` gives; NotSettled with `what` after the deadline."""
        deadline = time.monotonic() + seconds
        while True:
            if found := await look():
                return found
            if time.monotonic() > deadline:
                raise NotSettled(f"not within {seconds:.0f} s: {what}")
            await asyncio.sleep(0.05)

    async def bound(self, base: str) -> Object:
        """Wait until a claim is Bound."""

        async def look() -> Object | None:
            found = await self.claim(base)
            return found if found and condition(found, "Bound") == "True" else None

        return await self.wait(f"{base} bound", look)

    async def gone(self, base: str, uid: str = "") -> None:
        """Wait until a claim is gone (or another by UID)."""

        async def look() -> bool:
            found = await self.claim(base)
            return found is None or (bool(uid) and found["metadata"]["uid"] != uid)

        await self.wait(f"{base} gone", look)

    async def says(self, base: str, type_: str, status: str = "True", reason: str = "") -> Object:
        """Wait until a claim's condition has a status, and a reason if one is given."""

        async def look() -> Object | None:
            found = await self.claim(base) or {}
            same = condition(found, type_) == status
            return found if same and reason in ("", condition(found, type_, "reason")) else None

        return await self.wait(f"{base}: {type_} is {status} {reason}", look)

    async def says_no_more(self, base: str, type_: str) -> None:
        """Wait until a claim's condition is gone or not True."""

        async def look() -> bool:
            return condition(await self.claim(base) or {}, type_) != "True"

        await self.wait(f"{base} isn't {type_}", look)

    async def lease_counts(self, lease: str, **counts: int) -> None:
        """Wait until a lease's inventory says so many."""

        async def look() -> bool:
            found = await self.get("hub", LEASES.path("", lease)) or {}
            return counts.items() <= found.get("status", {}).get("inventory", {}).items()

        await self.wait(f"lease {lease} counts {counts}", look)

    async def touch_lease(self, lease: str) -> None:
        """Change something of a lease that means nothing, so that the operators look at the clock again."""
        mark = {
            "op": "add",
            "path": "/metadata/annotations/test.example~1touched",
            "value": str(time.time()),
        }
        await self.change("hub", LEASES.path("", lease), mark)

    async def node_is_bare(self, plane: str, name: str) -> None:
        """Wait until nothing of ours is on a node."""

        async def look() -> bool:
            return "sublet.dev" not in str(
                _shown(await self.get(plane, f"/api/v1/nodes/{name}") or {})
            )

        await self.wait(f"{name} is handed back", look)

    async def lease_says(self, lease: str, type_: str, status: str) -> None:
        """Wait until a lease's condition has a status."""

        async def look() -> bool:
            found = await self.get("hub", LEASES.path("", lease)) or {}
            return condition(found, type_) == status

        await self.wait(f"lease {lease}: {type_} is {status}", look)

    async def nothing_is_left(self, lease: str) -> None:
        """Wait until a lease lists nothing that claims left there."""

        async def look() -> bool:
            found = await self.get("hub", LEASES.path("", lease)) or {}
            return not found.get("status", {}).get("leftovers")

        await self.wait(f"lease {lease}: nothing is left", look)

    async def drop_lease(self, lease: str) -> None:
        """Delete a lease and wait until it is gone."""
        await self.delete("hub", LEASES.path("", lease))

        async def look() -> bool:
            return await self.get("hub", LEASES.path("", lease)) is None

        await self.wait(f"lease {lease} is gone", look)

    async def is_idle(self) -> bool:
        """Say whether the pool is empty and all of it for sale."""
        for name in LEASED:
            found = await self.get("hub", LEASES.path("", name)) or {}
            counts = found.get("status", {}).get("inventory", {})
            if counts.get("free") != 8 * NODES or condition(found, "Ready") != "True":
                return False
        return not await self.items("hub", CLAIMS.path(ACME))

    async def claims(self) -> list[Object]:
        """Return the claims of this run."""
        found = await self.items("hub", CLAIMS.path(ACME))
        return [c for c in found if self.is_ours(c["metadata"]["name"])]

    async def revision(self, plane: str, resource: str) -> int:
        """Return the revision of a collection now."""
        root = _ROOTS.get(resource, "/apis/sublet.dev/v1alpha1")
        found = await self.api[plane].get(f"{root}/{resource}", limit="1")
        return int(found["metadata"]["resourceVersion"])

    def is_ours(self, name: str) -> bool:
        """Say whether an object's name is of this run."""
        return name.endswith(f"-x{self.run}")


def _shown(node: Object) -> list[Any]:
    """Return what of a node may carry our marks; who wrote which field isn't of it."""
    meta = node.get("metadata", {})
    return [meta.get("labels"), meta.get("annotations"), node.get("spec", {}).get("taints")]
