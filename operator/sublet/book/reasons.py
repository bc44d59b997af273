"""Refusals that say what was found, in numbers, without a landlord's or another tenant's name.

The reason is the nearest lease's cause. Numbers are of GPUs that stand for the claim's class at leases which its
tenant may use; instants instead of time spans, so that a message changes only when something did.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from sublet.api.pending import PendingReason
from sublet.api.times import Millis, format_instant
from sublet.api.wording import how_many
from sublet.book.decisions import Refuse
from sublet.book.demand import Demand
from sublet.book.holdings import Holdings
from sublet.book.maintenance import windows_text
from sublet.book.shape import unfit_message
from sublet.book.standing import Standing, Standings
from sublet.book.steps import FOREVER
from sublet.book.supply import LeaseSupply
from sublet.book.unmet import gap_of

_KINDS_SHOWN: Final = 4
_SELLING: Final = (Standing.OPEN, Standing.UNPROVEN, Standing.SILENT, Standing.LATER)
"""Leases that time or a repair opens, if they aren't open."""
_VISIBLE: Final = tuple(s for s in Standing if s not in (Standing.HIDDEN, Standing.OVER))


def quota_refusal(demand: Demand, lease_ends_ms: Millis, holdings: Holdings) -> Refuse | None:
    """Return the refusal of a claim that its tenant's quota has no room for on leases that end then, None if it has."""
    class_name, until_ms = demand.claim.spec.class_name, demand.until_on(lease_ends_ms)
    limit = demand.tenant.spec.quota_of(class_name)
    if limit is None:
        return None
    held = holdings.by_tenant.most(demand.tenant_uid, class_name, demand.start_ms, until_ms)
    if held + demand.gpus <= limit:
        return None
    message = (
        f"asks for {how_many(demand.gpus, 'GPU')} of class {class_name}; "
        f"{held} of the tenant's quota of {limit} are held or promised"
    )
    if (unread := holdings.unread_of(demand.tenant_uid, class_name, until_ms)) is not None:
        message += f", also by {unread.key}, {unread.why}"
    ways = [f"ask for at most {limit - held}"] if limit > held else []
    if demand.gpus <= limit:
        ways.append("wait until others of the tenant's claims end")
    hint = ", or ".join([*ways, "ask for a larger quota"])
    return Refuse(demand.uid, PendingReason.EXCEEDS_QUOTA, f"{message}; {hint}")


def refusal(demand: Demand, found: Standings, would_serve: Sequence[LeaseSupply] = ()) -> Refuse:
    """Return why no place was found; `would_serve`: leases with room for it, if only they all could be reached."""
    if would_serve:
        silent = sorted({s.alias for s in would_serve if s.is_silent})
        message = f"asks for {how_many(demand.gpus, 'GPU')}; there is room with {', '.join(silent)}, which can't be reached now"
        return Refuse(demand.uid, PendingReason.LEASE_UNREACHABLE, message)
    for standing, reason, say in (
        (Standing.OPEN, PendingReason.WAITING_FOR_CAPACITY, _capacity),
        (Standing.UNPROVEN, PendingReason.WAITING_FOR_CAPACITY, _capacity),
        (Standing.SILENT, PendingReason.LEASE_UNREACHABLE, _counts),
        (Standing.LATER, PendingReason.WAITING_FOR_CAPACITY, _capacity),
        (Standing.UNFIT, PendingReason.TOPOLOGY_UNFIT, _unfit),
        (Standing.TOO_SHORT, PendingReason.EXCEEDS_LEASE_TERM, _too_short),
        (Standing.ELSEWHERE, PendingReason.RESIDENCY_UNMET, _counts),
        (Standing.EXCLUDED, PendingReason.NO_MATCHING_LEASE, _excluded),
        (Standing.CLOSED, PendingReason.NO_MATCHING_LEASE, _counts),
        (Standing.LACKING, PendingReason.NO_MATCHING_LEASE, _counts),
    ):
        if not found.of(standing):
            continue
        gap = gap_of(demand, found.of(*_SELLING)) if standing in _SELLING else None
        if gap is None or not gap.for_good:
            text = f"; {gap.message}" if gap is not None else ""
            return Refuse(demand.uid, reason, say(demand, found) + text)
        text = f"asks for {how_many(demand.gpus, 'GPU')}; {gap.message}"
        return Refuse(demand.uid, PendingReason.TOPOLOGY_UNFIT, text, counts_fleet=True)
    products = ", ".join(sorted(demand.products)[:_KINDS_SHOWN])
    what = f"of class {demand.claim.spec.class_name} ({products})"
    if found.of(Standing.OVER):
        message = f"the leases with GPUs {what} have ended"
        return Refuse(demand.uid, PendingReason.EXCEEDS_LEASE_TERM, message)
    message = f"no lease that this tenant may use has GPUs {what}"
    return Refuse(demand.uid, PendingReason.NO_MATCHING_LEASE, message)


def _capacity(demand: Demand, found: Standings) -> str:
    supplies = found.of(Standing.OPEN)
    chunks: Counter[int] = Counter()
    room = 0
    for supply in supplies:
        mine = supply.free.chunks(demand.tenant_uid, demand.memory_mib)
        chunks += mine
        headroom = supply.headroom(demand.start_ms, demand.until_on(supply.ends_ms))
        room += min(headroom, sum(size * count for size, count in mine.items()))
    free = sum(size * count for size, count in chunks.items())
    text = f"{free} are free in {_chunks(chunks)}" if free else "none is free"
    if room < free:
        text += f", {room or 'none'} of them for the whole time asked for"
    counts = _counts(demand, found)
    unsellable = sum(s.unsellable_gpus for s in supplies)
    rest = f"; {unsellable} are not for sale just now" if unsellable else ""
    until = demand.until_on(max((s.ends_ms for s in supplies), default=FOREVER))
    away = windows_text((s.lease for s in supplies), demand.start_ms, until)
    return f"{counts}; {text}{rest}{away}"


def _counts(demand: Demand, found: Standings) -> str:
    """Return how many GPUs match and where the others are."""
    parts = [
        f"{found.gpus(Standing.OPEN)} of {how_many(found.gpus(*_VISIBLE), 'GPU')} match",
        *_elsewhere(demand, found.of(Standing.ELSEWHERE)),
    ]
    for standing, words in (
        (Standing.EXCLUDED, "are left out by placement.leases"),
        (Standing.CLOSED, "take no new claims"),
        (Standing.LACKING, f"have less than {demand.memory_mib} MiB of memory"),
        (Standing.TOO_SHORT, "aren't leased for the whole time asked for"),
        (Standing.UNFIT, "are on nodes of a size that doesn't fit"),
        (Standing.SILENT, "can't be reached now"),
        (Standing.UNPROVEN, "are not for sale until their isolation is proven"),
    ):
        if found.of(standing):
            parts.append(f"{found.gpus(standing)} {words}")
    later = found.of(Standing.LATER)
    if later:
        first = min(s.lease.spec.term.start_time for s in later)
        parts.append(f"more are leased from {format_instant(first)} on")
    return f"asks for {how_many(demand.gpus, 'GPU')}; {'; '.join(parts)}"


def _excluded(demand: Demand, found: Standings) -> str:
    """Name leases that the claim both allows and denies, since it can't have meant that."""
    wanted = demand.claim.spec.placement.leases
    both = sorted({*wanted.allow} & {*wanted.deny})[:_KINDS_SHOWN]
    text = _counts(demand, found)
    if not both:
        return text
    return f"{text}; {', '.join(both)} is both allowed and denied there, which is denied: take it out of deny"


def _elsewhere(demand: Demand, supplies: Iterable[LeaseSupply]) -> list[str]:
    """Return how many GPUs are in each jurisdiction that the claim doesn't allow, and in others' regions."""
    wanted, law = demand.claim.spec.placement.jurisdictions, demand.tenant.spec.jurisdictions
    there: Counter[str] = Counter()
    for supply in supplies:
        jurisdiction = supply.lease.spec.location.jurisdiction
        ruled_out = any(only and jurisdiction not in only for only in (wanted, law))
        there[jurisdiction if ruled_out else f"other regions of {jurisdiction}"] += supply.gpus
    shown = sorted(there.items(), key=lambda item: (-item[1], item[0]))
    texts = [f"{gpus} are in {where}" for where, gpus in shown[:_KINDS_SHOWN]]
    more = sum(gpus for _, gpus in shown[_KINDS_SHOWN:])
    return [*texts, f"{more} are elsewhere"] if more else texts


def _unfit(demand: Demand, found: Standings) -> str:
    unfit = found.of(Standing.UNFIT)
    sizes = {s for x in unfit for s in x.sizes_at(demand.start_ms, demand.memory_mib)}
    return unfit_message(demand.claim, sizes)


def _too_short(demand: Demand, found: Standings) -> str:
    last: Millis = max((s.ends_ms for s in found.of(Standing.TOO_SHORT)), default=FOREVER)
    return (
        f"{_counts(demand, found)}; the last of them can be used until {format_instant(last)}: "
        "ask for a shorter schedule.durationSeconds"
    )


def _chunks(chunks: Counter[int]) -> str:
    """Return free GPUs by node, such as `2 chunks of 8 and 1 of 4`."""
    kinds = sorted(chunks.items(), reverse=True)
    texts = [f"{count} of {size}" for size, count in kinds[:_KINDS_SHOWN]]
    count, size = kinds[0][1], kinds[0][0]
    texts[0] = f"{how_many(count, 'chunk')} of {size}"
    more = sum(count for _, count in kinds[_KINDS_SHOWN:])
    if more:
        texts.append(f"{more} smaller")
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)
