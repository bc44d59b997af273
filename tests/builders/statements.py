"""A keeper of statements over a hub in memory and a ledger on disk, and a first story for it."""

import asyncio
from email.utils import formatdate
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sublet.api.gpustatement import GpuStatement
from sublet.api.times import Millis
from sublet.hub.statements.keeper import Statements
from sublet.hub.statements.owners import Owners
from sublet.kube.errors import Conflict, NotFound
from sublet.store.sql import SqlLedger
from tests.builders.api import uid_of
from tests.builders.billing import Journal
from tests.builders.wholesale import at

ACME = uid_of("acme")
SEPTEMBER = "2026-09-15T00:00:00Z"
OCTOBER = "2026-10-05T00:00:00Z"


class Hub:
    """The hub's statements in memory; a namespace that isn't there refuses."""

    def __init__(self, *namespaces: str) -> None:
        self.namespaces = {*namespaces}
        self.objects: dict[str, dict[str, Any]] = {}  # path -> object
        self.writes: list[str] = []
        self.date = ""
        """What its answers say that the time is."""
        self.owners = Owners()
        self._version = 0

    async def list_metadata(self, _: str, type_: Any) -> Any:
        items = [SimpleNamespace(metadata=SimpleNamespace(
            namespace=o["metadata"]["namespace"], name=o["metadata"]["name"],
            uid=o["metadata"]["uid"], resource_version=o["metadata"]["resourceVersion"],
        )) for o in self.objects.values()]  # fmt: skip
        return SimpleNamespace(items=items)

    async def get(self, path: str) -> dict[str, Any]:
        if path not in self.objects:
            raise NotFound(404, "NotFound", path)
        return self.objects[path]

    async def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        meta = body["metadata"]
        if meta["namespace"] not in self.namespaces:
            raise NotFound(404, "NotFound", meta["namespace"])
        if f"{path}/{meta['name']}" in self.objects:
            raise Conflict(409, "AlreadyExists", path)
        uid = uid_of(f"{meta['namespace']}/{meta['name']}")
        return self._store(f"{path}/{meta['name']}", body | {"metadata": meta | {"uid": uid}})

    async def replace(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        path = path.removesuffix("/status")
        live = await self.get(path)
        if live["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"]:
            raise Conflict(409, "Conflict", path)
        return self._store(path, body)

    async def delete(self, path: str, *, uid: str) -> None:
        if (await self.get(path))["metadata"]["uid"] != uid:
            raise Conflict(409, "Conflict", path)
        del self.objects[path]

    def statement(self, name: str, namespace: str = "acme") -> GpuStatement:
        path = f"/apis/sublet.dev/v1alpha1/namespaces/{namespace}/gpustatements/{name}"
        return GpuStatement.model_validate(self.objects[path])

    def _store(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self._version += 1
        self.writes.append(path.rsplit("/", 1)[-1])
        meta = body["metadata"] | {"resourceVersion": str(self._version), "generation": 1}
        self.objects[path] = body | {"metadata": meta}
        return self.objects[path]


class Keeping:
    """A keeper over a ledger on disk, at an instant that the test sets."""

    def __init__(self, hub: Hub, folder: Path, journal: Journal) -> None:
        self.hub, self.journal = hub, journal
        self.ledger = SqlLedger(f"sqlite:///{folder}/ledger.sqlite")
        self.now_ms = at(SEPTEMBER)
        self._written = 0
        self.said: asyncio.Queue[bool] = asyncio.Queue()
        """Whether something is failing, after each look that nobody asked for."""
        self.keeper = self.another()

    def another(self) -> Statements:
        """Return what a restarted operator, or a second one, would begin with."""
        hub, clock = self.hub, SimpleNamespace(now_ms=lambda: self.now_ms)
        kept: Any = hub
        ticks: Any = clock
        return Statements(
            kept, self.ledger, ticks, every_seconds=3_600, close_after_days=3, owners=lambda: hub.owners,
            failing=self.said.put_nowait,
        )  # fmt: skip

    async def look(
        self,
        when: str | None = None,
        keeper: Statements | None = None,
        *,
        by_hub: str | None = None,
    ) -> bool:
        """Write what is new in the journal, and look; return whether everything could be made and written.

        `by_hub`: what the hub's clock says, if it isn't the same.
        """
        self.now_ms = Millis(at(when)) if when else self.now_ms
        hub_ms = at(by_hub) if by_hub else self.now_ms
        self.hub.date = formatdate(hub_ms / 1_000, usegmt=True)
        new = self.journal.entries[self._written :]
        self._written = len(self.journal.entries)
        await self.ledger.append([e.fact for e in new], self.journal.texts)
        return await (keeper or self.keeper).look()


def sold() -> Journal:
    """Return a ledger in which acme has one GPU at 1 USD from 1 September on."""
    journal = Journal()
    journal.tenant("acme", uid=ACME)
    journal.reserved("train", tenant=ACME, namespace="acme")
    journal.begins("train", "2026-09-01T00:00:00Z", 1, tenant=ACME, price="1", tags={"team": "x"})
    return journal
