"""What a claim may have to wait for, at its bind and at its move: said in a condition, tried again with back-off."""

from typing import Final

from sublet.binder.access import SecretTaken
from sublet.binder.dropped import FieldDropped
from sublet.binder.ports import ClusterRefuses, ClusterSilent
from sublet.binder.proof import IsolationFault
from sublet.ledger.port import LedgerConflict, LedgerUnavailable

WAITS_FOR: Final = (
    ClusterSilent,
    ClusterRefuses,
    IsolationFault,
    SecretTaken,
    FieldDropped,
    LedgerUnavailable,
    LedgerConflict,
)
