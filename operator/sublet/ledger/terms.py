"""What the ledger keeps by content hash: prices and tags, so that editing an object never re-rates the past.

A claim's price hash is also written on the claim at reservation; the same text gives the same hash anywhere.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from sublet.ledger.interval import BrokenLedger


@dataclass(frozen=True, slots=True)
class PriceTerms:
    """A fixed price, as reserved."""

    per_gpu_hour: Decimal
    currency: str

    @property
    def text(self) -> str:
        """Return the canonical JSON that is hashed and stored."""
        amount = format(self.per_gpu_hour.normalize(), "f")
        return _canonical({"currency": self.currency, "kind": "fixed", "perGpuHour": amount})

    @property
    def hash(self) -> str:
        """Return the content hash."""
        return content_hash(self.text)


def parse_price(text: str) -> PriceTerms:
    """Return the price that a stored text says; BrokenLedger if it is of a kind this version doesn't know."""
    try:
        fields = json.loads(text)
        if fields["kind"] == "fixed":
            return PriceTerms(Decimal(fields["perGpuHour"]), fields["currency"])
    except (ValueError, TypeError, KeyError, InvalidOperation) as error:
        raise unknown_text(text, "it is no price") from error
    raise unknown_text(text, f"a price of kind {fields['kind']!r}")


def unknown_text(text: str, why: str) -> BrokenLedger:
    """Return the fault of a stored text that says nothing to this version."""
    return BrokenLedger(
        f"the text of hash {content_hash(text)} is none that this version of sublet knows ({why}): it was changed, or written"
        " by a newer one"
    )


def tags_text(tags: Mapping[str, str]) -> str:
    """Return tags as the canonical JSON that is hashed and stored."""
    return _canonical(dict(tags))


def content_hash(text: str) -> str:
    """Return the sha256 of a text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def _canonical(value: Mapping[str, str]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
