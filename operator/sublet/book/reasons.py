"""Refusals that say what was found, in numbers. The reason is the best candidate's, so it doesn't flap."""

from typing import Final

from sublet.api.gpuclaim import PendingReason
from sublet.book.decisions import Refuse
from sublet.book.demand import Demand
from sublet.book.placement import Search
from sublet.book.shape import unfit_message

_NEAREST_FIRST: Final = (
    PendingReason.LEASE_UNREACHABLE,
    PendingReason.EXCEEDS_LEASE_TERM,
    PendingReason.RESIDENCY_UNMET,
    PendingReason.NO_MATCHING_LEASE,
)
_WORDS: Final = {  # cause -> how it reads after a count of GPUs
    PendingReason.LEASE_UNREACHABLE: "can't be reached now",
    PendingReason.EXCEEDS_LEASE_TERM: "aren't leased for the whole time asked for",
    PendingReason.RESIDENCY_UNMET: "are in other jurisdictions or regions",
    PendingReason.NO_MATCHING_LEASE: "are of other products or not open to this claim",
}


def refusal(demand: Demand, search: Search) -> Refuse:
    """Return why no place was found."""
    if search.fits and search.sizes and not search.shaped:
        message = unfit_message(demand.claim, search.sizes)
        return Refuse(demand.uid, PendingReason.TOPOLOGY_UNFIT, message)
    if search.fits:
        return Refuse(demand.uid, PendingReason.WAITING_FOR_CAPACITY, _capacity(demand, search))
    reason = next((r for r in _NEAREST_FIRST if search.causes[r]), PendingReason.NO_MATCHING_LEASE)
    return Refuse(demand.uid, reason, _others(search) or "there is no lease yet")


def quota_refusal(demand: Demand, held: int, limit: int) -> Refuse:
    """Return the refusal of a claim that its tenant's quota has no room for."""
    message = (
        f"asks for {demand.gpus} GPUs of class {demand.claim.spec.class_name}; "
        f"{held} of the tenant's quota of {limit} are held"
    )
    return Refuse(demand.uid, PendingReason.EXCEEDS_QUOTA, message)


def _capacity(demand: Demand, search: Search) -> str:
    free = sum(s.free_gpus() for s in search.fits)
    there = sum(n.gpus for s in search.fits for n in s.inventory.nodes.values())
    nodes = sum(s.whole_count(size) for s in search.fits for size in s.sizes)
    text = f"asks for {demand.gpus} GPUs; of {there} that match, {free} are free in {nodes} whole nodes"
    committed = sum(max(0, s.headroom(demand.asked_until_ms or s.ends_ms)) for s in search.fits)
    if committed < min(free, demand.gpus):
        text += f", and the leases' commitment has room for {committed}"
    others = _others(search)
    return f"{text}; {others}" if others else text


def _others(search: Search) -> str:
    parts = [f"{search.causes[r]} GPUs {_WORDS[r]}" for r in _NEAREST_FIRST if search.causes[r]]
    return "; ".join(parts)
