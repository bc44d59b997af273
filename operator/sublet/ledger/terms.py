"""What the ledger keeps by content hash: prices and tags, so that editing an object never re-rates the past.

A claim's price hash is also written on the claim at reservation; the same text gives the same hash anywhere.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal


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
    """Return the price that a stored text says; ValueError if it is of a kind this version doesn't know."""
    fields = json.loads(text)
    if fields.get("kind") != "fixed":
        raise ValueError(f"a price of kind {fields.get('kind')!r} was written by a newer version")
    return PriceTerms(Decimal(fields["perGpuHour"]), fields["currency"])


def tags_text(tags: Mapping[str, str]) -> str:
    """Return tags as the canonical JSON that is hashed and stored."""
    return _canonical(dict(tags))


def content_hash(text: str) -> str:
    """Return the sha256 of a text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def _canonical(value: Mapping[str, str]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
