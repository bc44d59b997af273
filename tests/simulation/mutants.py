"""Our own code broken on purpose, one seam at a time: each must be found, or the checks can't fail."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from unittest import mock

from sublet.api.common import is_true
from sublet.api.times import Millis
from sublet.binder import leave, locks, release
from sublet.binder.claims import ClaimWriter, Outrun
from sublet.binder.pod_ends import GRACE_SECONDS
from sublet.book.holdings import Holdings
from sublet.drift import orphans, sweeper
from sublet.fleet.nodebook import BOOK
from sublet.hub import meter
from sublet.kube.errors import KubeError
from sublet.ledger.entry import GENESIS_HASH, Entry, Fact
from sublet.store.appending import keep_texts
from sublet.store.rows import row_of
from sublet.store.sql import SqlLedger
from sublet.store.tables import entries
from tests.simulation import ledger
from tests.simulation.clock import EPOCH

_CONTENDED: dict[str, Any] = {
    "actors": ("tenants",),
    "claims": 4,
    "nodes": (1,),
    "sharing": ("AnyTenant",),
    "steps": 12,
}
"""Many claims over one node that several may share."""


@dataclass(frozen=True)
class Mutant:
    """One way to break the operator, and the histories in which that matters."""

    breaks: Callable[[], AbstractContextManager[object]]
    plan: dict[str, Any] = field(default_factory=dict)
    """What is otherwise than the seed says."""


@contextmanager
def mutated(name: str | None) -> Iterator[dict[str, Any]]:
    """Break the operator for the length of the block; gives what its histories have otherwise."""
    if name is None:
        yield {}
        return
    with MUTANTS[name].breaks():
        yield MUTANTS[name].plan


@contextmanager
def _lock_without_test() -> Iterator[None]:
    """The lock adds its entry whatever the book says by then."""
    honest = locks._entry_patch

    def careless(*args: Any) -> Any:
        book = locks.annotation_path(BOOK)
        return [op for op in honest(*args) if (op["op"], op["path"]) != ("test", book)]

    with mock.patch.object(locks, "_entry_patch", careless):
        yield


@contextmanager
def _release_without_look() -> Iterator[None]:
    """A namespace counts as empty as soon as its pods were told to go."""

    async def hasty(site: Any) -> None:
        path = f"/api/v1/namespaces/{site.home.name}/pods"
        with contextlib.suppress(KubeError):
            await site.cluster.api.request(
                "DELETE", path, body=b'{"gracePeriodSeconds": %d}' % GRACE_SECONDS
            )

    with mock.patch.object(release, "empty", hasty), mock.patch.object(leave, "empty", hasty):
        yield


@contextmanager
def _release_without_guard() -> Iterator[None]:
    """The decision to release is written over whatever the claim has become."""
    honest = ClaimWriter.write_status

    async def pushy(self: ClaimWriter, claim: Any, status: Any) -> Any:
        while True:
            try:
                return await honest(self, claim, status)
            except Outrun:
                live = await self.get(claim)
                if live is None or not is_true(status.conditions, "Releasing"):
                    raise
                claim = live

    with mock.patch.object(ClaimWriter, "write_status", pushy):
        yield


@contextmanager
def _name_for_uid() -> Iterator[None]:
    """A node made anew is taken for the one that had its name."""
    honest = locks._entry_patch

    def gullible(node: Any, lease: Any, place: Any, *who: Any) -> Any:
        patch = honest(node, lease, place.model_copy(update={"node_uid": node.metadata.uid}), *who)
        return [op for op in patch if (op["op"], op["path"]) != ("test", "/metadata/uid")]

    with mock.patch.object(locks, "_entry_patch", gullible):
        yield


@contextmanager
def _bill_from_now() -> Iterator[None]:
    """Lines carry the instant at which they are written."""
    honest = meter.facts_of

    def late(claim: Any) -> list[Fact]:
        now = Millis(EPOCH + int(asyncio.get_running_loop().time() * 1000))
        return [replace(fact, at_ms=now) for fact in honest(claim)]

    with mock.patch.object(meter, "facts_of", late):
        yield


@contextmanager
def _second_writer() -> Iterator[None]:
    """Each operator writes as if it were the ledger's only writer, and the store doesn't mind."""
    heads: dict[
        int, tuple[int, str, set[str]]
    ] = {}  # ledger -> its last line, and the ids it wrote

    def alone(self: SqlLedger, connection: Any, batch: list[Any]) -> list[int]:
        seq, head, known = heads.get(id(self), (0, GENESIS_HASH, set()))
        counts = []
        for facts, texts, *_ in batch:
            keep_texts(connection, texts)
            new = [f for f in facts if f.id not in known]
            for fact in new:
                seq += 1
                entry = Entry(seq, fact, head)
                head = entry.hash
                known.add(fact.id)
                row = zip(entries.columns.keys(), row_of(entry, fact.id, head), strict=True)
                connection.execute(entries.insert(), [dict(row)])
            counts.append(len(new))
        heads[id(self)] = (seq, head, known)
        return counts

    honest = ledger._template

    def careless() -> sqlite3.Connection:
        loose = sqlite3.connect(":memory:", check_same_thread=False)
        honest().backup(loose)
        loose.executescript(
            "CREATE TABLE loose AS SELECT * FROM entries; DROP TABLE entries; "
            "ALTER TABLE loose RENAME TO entries;"
        )
        return loose

    with (
        mock.patch.object(SqlLedger, "_append_all", alone),
        mock.patch.object(ledger, "_template", careless),
    ):
        yield


@contextmanager
def _sale_by_books() -> Iterator[None]:
    """What is free is told by nodes' own books alone, also where a restored cluster has forgotten who is bound."""
    with mock.patch.object(Holdings, "_add_claim"):
        yield


@contextmanager
def _trust_in_old_hub() -> Iterator[None]:
    """What a restored hub doesn't know is taken back, whatever the ledger has of it."""
    with (
        mock.patch.object(orphans, "_is_older", return_value=False),
        mock.patch.object(orphans, "_is_rewound", return_value=False),
        mock.patch.object(sweeper, "too_many", return_value=()),
    ):
        yield


@contextmanager
def _nothing() -> Iterator[None]:
    yield


MUTANTS: dict[str, Mutant] = {
    "lock-without-test": Mutant(_lock_without_test, {**_CONTENDED, "belt": False}),
    "lock-without-test-belt-on": Mutant(_lock_without_test, _CONTENDED),
    "belt-off": Mutant(_nothing, {**_CONTENDED, "belt": False}),
    "release-without-look": Mutant(
        _release_without_look, {"actors": ("tenants", "workloads"), "steps": 12}
    ),
    "release-without-guard": Mutant(
        _release_without_guard,
        {"replicas": 2, "elects": False, "actors": ("tenants", "pauses"), "steps": 12},
    ),
    "name-for-uid": Mutant(
        _name_for_uid,
        {"actors": ("tenants", "swaps"), "faults": ("slow",), "steps": 24, "nodes": (2,)},
    ),
    "sale-by-books": Mutant(
        _sale_by_books,
        {"actors": ("tenants", "rewinds"), "claims": 4, "nodes": (1,), "steps": 24},
    ),
    "trust-in-old-hub": Mutant(
        _trust_in_old_hub,
        {
            "actors": ("tenants", "hub rewinds"),
            "claims": 4,
            "faults": (),
            "seconds": 60.0,
            "steps": 12,
        },
    ),
    "bill-from-now": Mutant(_bill_from_now),
    "second-writer": Mutant(_second_writer, {"replicas": 2, "actors": ("tenants", "crashes")}),
}
