"""A ledger in memory that metrics read, and an operator's memory beside it, for scrapes without servers."""

from collections.abc import Sequence
from typing import Any

from sublet.api.downtime import DowntimeCause
from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpuclass import GpuClass
from sublet.api.gpulease import GpuLease
from sublet.api.gputenant import GpuTenant
from sublet.api.ids import LeaseUID
from sublet.api.times import Millis
from sublet.fleet.facts import ClusterHealth
from sublet.ledger.entry import GENESIS_HASH, Entry, EntryKind, EntryType, Fact
from sublet.ledger.port import LedgerUnavailable
from sublet.ledger.texts.adjustment import Adjustment
from sublet.ledger.texts.evidence import Evidence
from sublet.serve.look import Look
from sublet.serve.metrics import Snapshot
from tests.builders.wholesale import Scribe, When


class Lines:
    """Stands where `sublet.store.sql.SqlLedger` does: lines in the order in which they were written."""

    conflict: str | None = None
    takes_nothing = False
    away = False

    def __init__(self, scribe: Scribe) -> None:
        self._scribe = scribe
        self.entries: list[Entry] = []
        self.reads: list[int] = []  # after which line each read began
        self.write()

    def write(self) -> None:
        """Write what the scribe wrote since."""
        known = {e.fact.id for e in self.entries}
        for fact in sorted(self._scribe.facts, key=lambda f: f.at_ms):
            if fact.id not in known:
                self._append(fact)

    def _append(self, fact: Fact) -> None:
        before = self.entries[-1].hash if self.entries else GENESIS_HASH
        self.entries.append(Entry(len(self.entries) + 1, fact, before))

    async def read_entries(self, after_seq: int = 0, limit: int | None = None) -> list[Entry]:
        """Return lines after one."""
        if self.away:
            raise LedgerUnavailable("away")
        self.reads.append(after_seq)
        return self.entries[after_seq:][:limit]

    async def read_terms(self, hashes: Sequence[str]) -> dict[str, str]:
        """Return texts."""
        return {h: self._scribe.texts[h] for h in hashes if h in self._scribe.texts}


class Memory:
    """What the operator has in memory; clusters were seen to work at `seen_ms`."""

    ready = leads = True

    def __init__(
        self,
        *,
        claims: Sequence[GpuClaim] = (),
        leases: Sequence[GpuLease] = (),
        tenants: Sequence[GpuTenant] = (),
        classes: Sequence[GpuClass] = (),
        seen_ms: Millis | None = None,
    ) -> None:
        self.shelves: dict[str, Sequence[Any]] = {
            "claims": claims, "leases": leases, "tenants": tenants, "classes": classes,
        }  # fmt: skip
        self.seen_ms = seen_ms

    def claims(self) -> tuple[GpuClaim, ...]:
        return tuple(self.shelves["claims"])

    def leases(self) -> tuple[GpuLease, ...]:
        return tuple(self.shelves["leases"])

    def tenants(self) -> tuple[GpuTenant, ...]:
        return tuple(self.shelves["tenants"])

    def classes(self) -> tuple[GpuClass, ...]:
        return tuple(self.shelves["classes"])

    def accounts(self) -> dict[Any, Any]:
        return {}

    def nodes(self, uid: LeaseUID) -> dict[Any, Any]:
        return {}

    def cluster(self, uid: LeaseUID) -> ClusterHealth:
        return ClusterHealth(reachable=True, stale_seconds=0, seen_ms=self.seen_ms)

    def hub_ahead_seconds(self) -> int | None:
        return None


def down(scribe: Scribe, claim: str, lease_uid: str, gpus: int, begin: When, end: When | None, cause: str) -> None:  # fmt: skip
    """Write when GPUs of a claim didn't work, and why."""
    said = Evidence(cause=DowntimeCause(cause))
    scribe.texts[said.hash] = said.text
    for type_, when in ((EntryType.OPEN, begin), (EntryType.CLOSE, end)):
        if when is not None:
            scribe._add(
                EntryKind.DOWNTIME, type_, when, claim, lease_uid,
                tenant="acme", gpus=gpus, price_hash=said.hash,
            )  # fmt: skip


def adjusted(scribe: Scribe, tenant: str, when: When, amount: str) -> None:
    """Write what a person charged or credited a tenant."""
    said = Adjustment(period="2026-09", amount=amount, currency="USD", reason="goodwill", by="ana")
    scribe.texts[said.hash] = said.text
    scribe._add(
        EntryKind.ADJUSTMENT, EntryType.SET, when, f"{tenant}-{amount}", LeaseUID(""),
        tenant=tenant, price_hash=said.hash,
    )  # fmt: skip


def samples(look: Look, memory: Any, now_ms: Millis) -> dict[tuple[str, ...], float]:
    """Return what a scrape shows of a ledger: (series without its prefix, values of the labels) -> value."""
    return {
        (sample.name.removeprefix("sublet_"), *sample.labels.values()): sample.value
        for family in Snapshot(memory, now_ms, look).collect()
        for sample in family.samples
    }
