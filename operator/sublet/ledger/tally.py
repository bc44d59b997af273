"""What tenants spent per month and what they held of late, added up line by line as the ledger grows. Pure.

Billed time stands beside its price, by month, since every budget's period is made of months. Closed intervals are kept
one by one only while they still count as usage.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from sublet.api.ids import LeaseUID, TenantUID
from sublet.api.periods import month_of, month_start
from sublet.api.times import Millis
from sublet.ledger.decay import HALF_LIVES, thousandths
from sublet.ledger.entry import BILLED, EntryKind, EntryType, Fact
from sublet.ledger.interval import Fold, Interval, Key, interval, key_of

Metered = Mapping[str, int]
"""price hash -> GPU-milliseconds"""
Charged = Mapping[tuple[int, str], int]
"""(month, price hash) -> GPU-milliseconds"""


class Tally:
    """Running sums over the billed lines of a ledger."""

    def __init__(self, half_life_ms: int) -> None:
        """Begin empty; a half-life of 0 keeps no usage."""
        self._half_life_ms = half_life_ms
        self._fold = Fold()
        self._months: dict[tuple[TenantUID, str, int], int] = defaultdict(int)
        """(tenant, price hash, month) -> GPU-milliseconds of closed intervals"""
        self._charges: dict[tuple[TenantUID, str, int], int] = defaultdict(int)
        """The same of what was given up too late, whose months may be to come."""
        self._charged: set[str] = set()
        """Ids of the lines with which that begins."""
        self._recent: list[Interval] = []
        self._newest_ms = Millis(0)
        """When the last of those ended."""

    def take(self, facts: Iterable[Fact]) -> bool:
        """Add lines in ledger order; return whether any was billed. Raises BrokenLedger."""
        billed = False
        for fact in facts:
            closed = self._fold.take(fact)
            billed |= fact.kind in BILLED
            if closed is not None and closed.kind is EntryKind.BOUND:
                self._add(closed, fact.at_ms)
            elif fact.kind is EntryKind.CANCELLED and closed is None:
                self._charged.add(fact.id)
            elif closed is not None and closed.kind is EntryKind.CANCELLED:
                for month, amount in _by_month(closed, fact.at_ms):
                    self._charges[closed.tenant_uid, closed.price_hash, month] += amount
        return billed

    def begun(self) -> tuple[Fact, ...]:
        """Return the lines of which no end was taken yet; may be asked while others are taken."""
        return tuple(self._fold.open.values())

    def charged(
        self, since: Mapping[TenantUID, Millis], shown: Iterable[Fact]
    ) -> dict[TenantUID, Charged]:
        """Return what tenants were charged for giving windows up, by month, those to come included; as for `spent`."""
        found: dict[TenantUID, dict[tuple[int, str], int]] = {u: defaultdict(int) for u in since}
        for (uid, price, month), amount in self._charges.items():
            if uid in since and month_start(month) >= since[uid]:
                found[uid][month, price] += amount
        lines = [f for f in shown if f.kind is EntryKind.CANCELLED and f.tenant_uid in since]
        for begun, over in zip(lines[::2], lines[1::2], strict=True):
            if begun.id not in self._charged:
                for month, amount in _by_month(interval(begun, over.at_ms), over.at_ms):
                    if month_start(month) >= since[begun.tenant_uid]:
                        found[begun.tenant_uid][month, begun.price_hash] += amount
        return {uid: dict(sorted(months.items())) for uid, months in found.items()}

    def spent(
        self, since: Mapping[TenantUID, Millis], as_of_ms: Millis, shown: Iterable[Fact]
    ) -> dict[TenantUID, Metered]:
        """Return what tenants were billed for from an instant, a month's first, on.

        `since`: tenant -> that instant. `shown`: lines that claims call for now; those that haven't come in yet count too.
        """
        found: dict[TenantUID, dict[str, int]] = {uid: defaultdict(int) for uid in since}
        for (uid, price, month), amount in self._months.items():
            if uid in since and month_start(month) >= since[uid]:
                found[uid][price] += amount
        running, over = self._running(shown)
        for key, fact in running.items():
            if fact.tenant_uid in since:
                end_ms = min(as_of_ms, over.get(key, as_of_ms))
                begin_ms = max(fact.at_ms, since[fact.tenant_uid])
                found[fact.tenant_uid][fact.price_hash] += fact.gpus * max(0, end_ms - begin_ms)
        return {uid: dict(sorted(prices.items())) for uid, prices in found.items()}

    def usage(self, as_of_ms: Millis) -> dict[TenantUID, dict[LeaseUID, int]]:
        """Return the decayed average of the GPUs that each tenant held of each lease, in thousandths."""
        if self._half_life_ms == 0:
            return {}
        # by the lines too: a clock that is ahead for one reading must take nothing away
        oldest_ms = min(as_of_ms, self._newest_ms) - HALF_LIVES * self._half_life_ms
        self._recent = [i for i in self._recent if (i.end_ms or as_of_ms) > oldest_ms]
        held: dict[tuple[TenantUID, LeaseUID], list[tuple[int, Millis, Millis]]] = defaultdict(list)
        for each in self._recent:
            end_ms = each.end_ms if each.end_ms is not None else as_of_ms
            held[each.tenant_uid, each.lease_uid].append((each.gpus, each.start_ms, end_ms))
        for fact in self._fold.open.values():
            if fact.kind is EntryKind.BOUND:
                held[fact.tenant_uid, fact.lease_uid].append((fact.gpus, fact.at_ms, as_of_ms))
        found: dict[TenantUID, dict[LeaseUID, int]] = {}
        for tenant, lease in sorted(held):
            average = thousandths(held[tenant, lease], as_of_ms, self._half_life_ms)
            if average > 0:
                found.setdefault(tenant, {})[lease] = average
        return found

    def _add(self, closed: Interval, end_ms: Millis) -> None:
        if self._half_life_ms:
            self._recent.append(closed)
            self._newest_ms = max(self._newest_ms, end_ms)
        for month, amount in _by_month(closed, end_ms):
            self._months[closed.tenant_uid, closed.price_hash, month] += amount

    def _running(self, shown: Iterable[Fact]) -> tuple[dict[Key, Fact], dict[Key, Millis]]:
        """Return the openings of what is billed now, and the ends that aren't in the ledger yet."""
        running = {k: f for k, f in self._fold.open.items() if f.kind is EntryKind.BOUND}
        billed = [f for f in shown if f.kind is EntryKind.BOUND]
        over = {key_of(f): f.at_ms for f in billed if f.type is EntryType.CLOSE}
        for fact in billed:
            if fact.type is EntryType.OPEN and key_of(fact) not in over:
                running.setdefault(key_of(fact), fact)
        return running, over


def _by_month(closed: Interval, end_ms: Millis) -> Iterator[tuple[int, int]]:
    """Yield the months that an interval reaches, and the GPU-milliseconds in each."""
    for month in range(month_of(closed.start_ms), month_of(end_ms) + 1):
        amount = closed.gpu_milliseconds(month_start(month), month_start(month + 1))
        if amount:
            yield month, amount
