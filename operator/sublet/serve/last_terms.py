"""What the ledger has last of each claim: what `sublet adopt` asks to know what came after a backup. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from sublet.api.cancellation import GivenUp
from sublet.api.downtime import Downtime
from sublet.api.outage import Outage
from sublet.api.relocation import LeaseGpus
from sublet.api.times import format_instant
from sublet.ledger.entry import BESIDE, EntryKind
from sublet.ledger.interval import Interval
from sublet.ledger.texts.evidence import Evidence

_DUMP: Final[dict[str, Any]] = {"mode": "json", "by_alias": True, "exclude_none": True}


def last_terms(found: Iterable[Interval], causes: Mapping[str, str]) -> dict[str, Any]:
    """Return by claim the reservation that was billed last, to when, and what stands beside its bill; and what it gave up.

    No end: it still is billed, from when and for what `begun` says. `causes`: hash -> text of why GPUs didn't work.
    """
    last: dict[str, Interval] = {}
    running: dict[tuple[str, int], list[Interval]] = defaultdict(list)
    beside: dict[tuple[str, int], list[Interval]] = defaultdict(list)
    given_up: dict[str, list[Interval]] = defaultdict(list)
    for each in found:
        if each.kind is EntryKind.BOUND:
            if each.end_ms is None:
                running[each.claim_uid, each.sequence].append(each)
            known = last.get(each.claim_uid)
            if known is None or _rank(each) > _rank(known):
                last[each.claim_uid] = each
        elif each.kind in BESIDE:
            beside[each.claim_uid, each.sequence].append(each)
        elif each.kind is EntryKind.CANCELLED and each.end_ms is not None:
            given_up[each.claim_uid].append(each)
    return {
        "claims": {
            uid: {
                "sequence": each.sequence,
                "end": format_instant(each.end_ms) if each.end_ms is not None else None,
                "begun": _begun(each, running[uid, each.sequence]) if each.end_ms is None else None,
                "outages": list(_outages(beside[uid, each.sequence])),
                "downtimes": list(_downtimes(beside[uid, each.sequence], causes)),
            }
            for uid, each in sorted(last.items())
        },
        "givenUp": {
            uid: [GivenUp(**_times(each)).model_dump(**_DUMP) for each in spans]
            for uid, spans in sorted(given_up.items())
        },
    }


def _rank(each: Interval) -> tuple[int, bool, int]:
    return (each.sequence, each.end_ms is None, each.end_ms or 0)


def _begun(one: Interval, bills: Iterable[Interval]) -> dict[str, Any]:
    """Return how a reservation's bill began: a line for each of its leases, which say the same otherwise."""
    alike = (x for x in bills if replace(x, lease_uid=one.lease_uid, gpus=one.gpus) == one)
    held = (LeaseGpus(lease_uid=x.lease_uid, gpus=x.gpus) for x in alike)
    return {
        "time": format_instant(one.start_ms),
        "leases": [x.model_dump(**_DUMP) for x in sorted(held, key=lambda x: x.lease_uid)],
        "priceHash": one.price_hash,
        "tagsHash": one.tags_hash,
    }


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
