"""What the ledger has last of each claim: what `sublet adopt` asks to know what came after a backup. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from sublet.api.downtime import Downtime
from sublet.api.outage import Outage
from sublet.api.times import format_instant
from sublet.ledger.entry import BESIDE, EntryKind
from sublet.ledger.interval import Interval
from sublet.ledger.texts.evidence import Evidence

_DUMP: Final[dict[str, Any]] = {"mode": "json", "by_alias": True, "exclude_none": True}


def last_terms(found: Iterable[Interval], causes: Mapping[str, str]) -> dict[str, Any]:
    """Return by claim the reservation that was billed last, to when, and what stands beside its bill.

    No end: it still is billed. `causes`: hash -> text of why GPUs didn't work.
    """
    last: dict[str, Interval] = {}
    beside: dict[tuple[str, int], list[Interval]] = defaultdict(list)
    for each in found:
        if each.kind is EntryKind.BOUND:
            known = last.get(each.claim_uid)
            if known is None or _rank(each) > _rank(known):
                last[each.claim_uid] = each
        elif each.kind in BESIDE:
            beside[each.claim_uid, each.sequence].append(each)
    return {
        "claims": {
            uid: {
                "sequence": each.sequence,
                "end": format_instant(each.end_ms) if each.end_ms is not None else None,
                "outages": list(_outages(beside[uid, each.sequence])),
                "downtimes": list(_downtimes(beside[uid, each.sequence], causes)),
            }
            for uid, each in sorted(last.items())
        }
    }


def _rank(each: Interval) -> tuple[int, bool, int]:
    return (each.sequence, each.end_ms is None, each.end_ms or 0)


def _outages(found: Iterable[Interval]) -> Iterator[dict[str, Any]]:
    for each in found:
        if each.kind is EntryKind.DISPUTED:
            yield Outage(**_times(each)).model_dump(**_DUMP)


def _downtimes(found: Iterable[Interval], causes: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    for each in found:
        if each.kind is EntryKind.DOWNTIME and (text := causes.get(each.price_hash)):
            yield Downtime(**_times(each), cause=Evidence.read(text).cause).model_dump(**_DUMP)


def _times(each: Interval) -> dict[str, Any]:
    return {
        "sequence": each.sequence,
        "lease_uid": each.lease_uid,
        "gpus": each.gpus,
        "from_time": each.start_ms,
        "until_time": each.end_ms,
    }
