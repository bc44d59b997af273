"""What the operator asks of the ledger's store; `sublet.store` fulfils it, tests may do so in memory."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from sublet.api.ids import ClaimUID
from sublet.api.times import Millis
from sublet.ledger.audit import AuditRecord
from sublet.ledger.entry import Fact
from sublet.ledger.past import Past


class LedgerUnavailable(Exception):
    """The store is away, full or read-only. New binds wait, running claims and releases go on."""


@dataclass(frozen=True, slots=True)
class Disagreement:
    """What two records of one happening say; for who has to find out which is right."""

    claim_uid: ClaimUID
    line: int
    """The ledger's line."""
    there: str
    """What the line says."""
    wanted: str
    """What would be written of the same happening now."""


class LedgerConflict(Exception):
    """Same id, other content: two records of one happening disagree. Alarmed; new binds stop.

    Its text gets into claims' conditions; what the two records say is for the log alone.
    """

    def __init__(self, text: str, said: Disagreement | None = None) -> None:
        super().__init__(text)
        self.said = said


class LedgerPort(Protocol):
    """The store as the binder and the meter use it. Every call is durable when it returns."""

    async def intend_bound(
        self, claim_uid: ClaimUID, sequence: int, at_ms: Millis, *, anew: bool = False
    ) -> Millis:
        """Record from when a claim will be billed and return that instant, no earlier than its last bill ended.

        The first writer wins: a later call for the same claim and sequence returns the first instant, so that a
        restart (or a second operator on the same store) reuses it. `anew`: earlier tries have handed out nothing, and a
        later instant takes the place of theirs. Raises LedgerUnavailable, and LedgerConflict
        while one stands, or if by the ledger this reservation was handed over before.
        """

    async def was_intended(self, claim_uid: ClaimUID, sequence: int) -> bool:
        """Say whether an instant was recorded for a reservation: only then can its access have been handed over."""

    async def facts_of(self, claim_uids: Sequence[str]) -> list[Fact]:
        """Return all facts of some claims in ledger order; raises LedgerUnavailable."""

    async def append(
        self,
        facts: Iterable[Fact],
        texts: Mapping[str, str],
        records: Iterable[AuditRecord] = (),
        past: Past | None = None,
    ) -> int:
        """Append facts (the texts of their hashes: hash -> text; what the audit trail says of them); return how many were new.

        A fact whose id is there with the same content is a no-op, and so is one whose text a newer or older version put
        otherwise: the first holds. So is an end of other GPUs beside the bill, of which a restored hub tells anew.
        `past`: of the claim of which these are all lines; what they say nothing of, and the ledger has open, ends by it.
        Raises LedgerConflict, LedgerUnavailable.
        """
