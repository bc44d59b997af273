"""Which closed periods the ledger says something new of: only those are rated again. Pure; part of the books.

A line is late if it speaks of an instant of a period that is closed, its end among them: what ended with the month is rounded in it. So
is evidence that came late, a dated price or discount that was added for the past, an amount about a closed month.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from sublet.api.ids import TenantUID
from sublet.api.times import MS_PER_HOUR, Millis, parse_instant
from sublet.ledger.entry import EntryKind, Fact

_WIDEST_ZONE_MS: Final = 26 * MS_PER_HOUR
"""No month of any zone begins earlier than this before that of UTC, whatever the hour of its cut."""


class Late:
    """For each tenant with closed periods: the earliest instant that lines after the last closing speak of."""

    def __init__(self) -> None:
        self._closed_to: dict[TenantUID, Millis] = {}  # tenant -> end of its last closed period
        self._from: dict[TenantUID, Millis] = {}  # tenant -> earliest late instant
        self._said: dict[TenantUID, int] = {}  # tenant -> last line that speaks of it
        self._dated = 0
        """The last line that may speak of everybody."""

    def of(self, tenant_uid: TenantUID) -> Millis | None:
        """Return from when a tenant's closed periods may be otherwise now; None: they aren't."""
        return self._from.get(tenant_uid)

    def closed(self, fact: Fact) -> None:
        """Take note that a period was closed: what was late until the line that its text was made at is billed.

        What came between that line and this one is in no text yet, whatever it speaks of.
        """
        uid, read_to = fact.tenant_uid, int(fact.source_version or 0)
        self._closed_to[uid] = fact.at_ms
        if max(self._said.get(uid, 0), self._dated) > read_to:
            self._from[uid] = Millis(0)
        else:
            self._from.pop(uid, None)

    def said(self, seq: int, fact: Fact) -> None:
        """Take note of a line of a tenant."""
        if fact.kind is EntryKind.PERIOD or not fact.tenant_uid:
            return
        self._said[fact.tenant_uid] = seq
        if fact.tenant_uid in self._closed_to:
            self._note(fact.tenant_uid, fact.at_ms)

    def adjusted(self, fact: Fact, month: str) -> None:
        """Take note of an amount about a month."""
        first = parse_instant(f"{month}-01T00:00:00Z")
        self._note(fact.tenant_uid, Millis(first - _WIDEST_ZONE_MS))

    def dated(
        self,
        seq: int,
        before: Iterable[Any],
        now: Iterable[Any],
        tenant_uid: TenantUID | None = None,
    ) -> None:
        """Take note of a list of dated prices or discounts that changed: of one tenant, or of everybody."""
        self._dated = seq if tenant_uid is None else self._dated
        changed = {*before} ^ {*now}
        earliest = min((each.effective_time for each in changed), default=None)
        if earliest is not None:
            for uid in [tenant_uid] if tenant_uid is not None else list(self._closed_to):
                self._note(uid, earliest)

    def _note(self, tenant_uid: TenantUID, at_ms: Millis) -> None:
        closed: Mapping[TenantUID, Millis] = self._closed_to
        if tenant_uid in closed and at_ms <= closed[tenant_uid]:
            known = self._from.get(tenant_uid)
            self._from[tenant_uid] = at_ms if known is None else min(known, at_ms)
