"""A line of the ledger as JSON: what the admin endpoint shows and `sublet verify` reads. Pure."""

from typing import Any, Final

from sublet.api.ids import ClaimUID, LeaseUID, TenantUID
from sublet.api.times import Millis
from sublet.ledger.entry import Entry, EntryKind, EntryType, Fact

_FIELDS: Final = tuple(Fact.__dataclass_fields__)


def write_line(entry: Entry) -> dict[str, Any]:
    """Return an entry with its place in the chain and its id."""
    place = {"seq": entry.seq, "id": entry.fact.id, "previous_hash": entry.previous_hash}
    return place | {name: getattr(entry.fact, name) for name in _FIELDS}


def read_line(item: dict[str, Any]) -> tuple[Entry, str]:
    """Return an entry and the id that it was shown with; KeyError, TypeError or ValueError if it is none."""
    fact = Fact(
        claim_uid=ClaimUID(str(item["claim_uid"])),
        sequence=int(item["sequence"]),
        tenant_uid=TenantUID(str(item["tenant_uid"])),
        lease_uid=LeaseUID(str(item["lease_uid"])),
        kind=EntryKind(item["kind"]),
        type=EntryType(item["type"]),
        gpus=int(item["gpus"]),
        at_ms=Millis(int(item["at_ms"])),
        price_hash=str(item["price_hash"]),
        tags_hash=str(item["tags_hash"]),
        source_version=str(item["source_version"]),
    )
    return Entry(int(item["seq"]), fact, str(item["previous_hash"])), str(item["id"])
