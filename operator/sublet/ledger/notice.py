"""What is told beside the ledger's lines: a claim's end, a lease's end, a deadline. Pure.

Kubernetes Events live for an hour; these go to the same sink as the ledger's lines. Made by `sublet.hub.news`, kept and sent from `sublet.store`.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from sublet.api.times import Millis


@dataclass(frozen=True, slots=True)
class News:
    """One notice."""

    kind: str
    """What it is about, as words of a CloudEvent's type: claim.ending, lease.ending, sla.deadline."""
    subject: str
    """UID of the object."""
    at_ms: Millis
    """When it came to be so; by a record, never by the clock at writing."""
    data: Mapping[str, str]
    """What it says."""

    @property
    def text(self) -> str:
        """Return what it says as canonical JSON."""
        return json.dumps(dict(self.data), sort_keys=True, separators=(",", ":"))

    @property
    def id(self) -> str:
        """Return the id: the same notice, the same id, however often it is made."""
        parts = (self.kind, self.subject, str(self.at_ms), self.text)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()
