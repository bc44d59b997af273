"""What would bind instead: each offer changes one thing of a claim, and was looked for like the claim itself.

Nothing is held for an offer; instants instead of spans, so that an offer stays the same while nothing happens. Made
for the blocked claims of a pass that are looked at and for quotes (suspended claims), read from the claim's status.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from sublet.api.gpuclaim import GpuClaim
from sublet.api.pending import Offer, OfferKind, PendingReason
from sublet.api.times import Millis
from sublet.api.topology import Placement, Scope, Topology
from sublet.book.approval import size_without_approval
from sublet.book.backfill import Opening
from sublet.book.decisions import Refuse
from sublet.book.demand import Demand, Rules, with_spec
from sublet.book.domains import must_have_domain
from sublet.book.fewer import Find, most_that_fit
from sublet.book.pools import Wanted
from sublet.book.shape import MAX_NODES, Shape, must_have_one_node, nearest_sizes
from sublet.book.standing import Standing, Standings, postponed
from sublet.book.steps import FOREVER
from sublet.book.supply import LeaseSupply
from sublet.book.unmet import rooms_in_domains

MAX_OFFERS: Final = 8
_CLASSES_TRIED: Final = 8
_CLAIMS_TRIED: Final = 16
_ENDS_TRIED: Final = 8
_ANSWERED: Final = frozenset({PendingReason.PRICE_UNMET, PendingReason.WAITING_FOR_APPROVAL})
Affords = Callable[[Demand, Iterable[LeaseSupply]], bool]
"""Says whether a tenant's quota and money are enough for a demand on some leases, whatever room there is."""


def is_answered(claim: GpuClaim, refused: Refuse) -> bool:
    """Say whether a claim-wide refusal is told what would bind: a quote is; what a suspended tenant waits for isn't."""
    return claim.spec.suspended or refused.reason in _ANSWERED


def offers_for(
    demand: Demand,
    standings: Standings,
    opening: Opening | None,
    rules: Rules,
    find: Find,
    affords: Affords,
) -> tuple[Offer, ...]:
    """Return what would bind instead of a claim that found no place, the smallest change first."""
    found = (
        *_later(demand, opening),
        *_shorter(demand, standings, find),
        *_sizes(demand, standings, rules, find),
        *_wider(demand, find),
        *_elsewhere(demand, find),
        *_classes(demand, rules, find),
        *_split(demand, standings, rules, find, affords),
    )
    return found[:MAX_OFFERS]


def as_asked(demand: Demand) -> Offer:
    """Return the offer of exactly what was asked for: the answer to a quote that would bind."""
    return _offer(demand, OfferKind.AS_ASKED)


def ways_out(
    claim: GpuClaim,
    reason: PendingReason,
    rules: Rules,
    supplies: Iterable[LeaseSupply],
    find: Find,
) -> tuple[Offer, ...]:
    """Return what would bind instead of a claim that is refused as a whole."""
    if reason is PendingReason.PRICE_UNMET:
        return _dearer(claim, rules, find)
    if reason is PendingReason.WAITING_FOR_APPROVAL:
        return _unapproved(claim, rules, supplies, find)
    return ()


def _dearer(claim: GpuClaim, rules: Rules, find: Find) -> tuple[Offer, ...]:
    """Return the offer at the class's price, for a claim that refuses it."""
    read = rules.read(with_spec(claim, max_price_per_gpu_hour=None, suspended=False))
    if isinstance(read, Refuse) or find(read) is None:
        return ()
    return (_offer(read, OfferKind.HIGHER_PRICE),)


def _unapproved(
    claim: GpuClaim, rules: Rules, supplies: Iterable[LeaseSupply], find: Find
) -> tuple[Offer, ...]:
    """Return the offer of the largest size that needs no approval, for a claim that waits for one."""
    offer = rules.offer(claim.spec.class_name)
    gpus = size_without_approval(claim, offer) if offer is not None else 0
    if gpus == 0:
        return ()
    read = rules.read(with_spec(claim, gpus=gpus, suspended=False))
    if isinstance(read, Refuse):
        return ()
    if find(read) is not None:
        return (_offer(read, OfferKind.OTHER_SIZE),)
    fitting = _sizes(read, Standings(read, supplies), rules, find)
    return tuple(each for each in fitting if each.gpus < gpus)[:1]


def _later(demand: Demand, opening: Opening | None) -> Iterator[Offer]:
    if opening is not None:
        yield _offer(demand, OfferKind.LATER, start_time=opening.at_ms)


def _shorter(demand: Demand, standings: Standings, find: Find) -> Iterator[Offer]:
    """Yield the latest end with which one lease has all GPUs from the start on."""
    if demand.claim.spec.placement.is_spread:
        return
    asked = demand.asked_until_ms or FOREVER
    ends = {
        end
        for supply in _selling(demand, standings.of(Standing.OPEN, Standing.TOO_SHORT))
        for shape in supply.shapes(demand.claim, demand.start_ms, demand.memory_mib)
        if not shape.is_part
        for wanted in _alike(demand, supply, shape)
        for end in [supply.longest(wanted, shape.nodes, demand.start_ms)]
        if end is not None and end < asked
    }
    for end in sorted(ends, reverse=True)[:_ENDS_TRIED]:
        if find(replace(demand, asked_until_ms=end)) is not None:
            yield _offer(demand, OfferKind.SHORTER, end_time=end)
            return


def _selling(demand: Demand, supplies: Iterable[LeaseSupply]) -> list[LeaseSupply]:
    """Return the leases that neither time nor a repair has to open first."""
    return [supply for supply in supplies if postponed(demand, supply) is None]


def _alike(demand: Demand, supply: LeaseSupply, shape: Shape) -> Iterator[Wanted]:
    """Yield the nodes of a lease that a shape may be made of: any together, or of each NVLink domain alone."""
    if shape.nodes == 1 or not must_have_domain(demand):
        yield Wanted(shape.gpus, demand.memory_mib)
        return
    for domain in sorted(supply.pools.domains(shape.gpus)):
        yield Wanted(shape.gpus, demand.memory_mib, domain)


def _sizes(demand: Demand, standings: Standings, rules: Rules, find: Find) -> Iterator[Offer]:
    """Yield the largest smaller number of GPUs that fits now; where no lease has nodes for it, a larger one too."""
    fewer = most_that_fit(demand, 1, standings, find)
    if fewer is not None:
        yield _offer(demand, OfferKind.OTHER_SIZE, gpus=fewer.demand.gpus)
    unfit = _node_sizes(demand, standings.of(Standing.UNFIT))
    if unfit and not standings.of(Standing.OPEN):
        near = (g for g in nearest_sizes(demand.claim, unfit) if g > demand.gpus)
        allowed = (g for g in near if rules.is_approved(demand.claim, demand.offer, g))
        for gpus in allowed:
            if find(demand.of_size(gpus)) is not None:
                yield _offer(demand, OfferKind.OTHER_SIZE, gpus=gpus)


def _node_sizes(demand: Demand, supplies: Iterable[LeaseSupply]) -> set[int]:
    return {s for x in supplies for s in x.sizes_at(demand.start_ms, demand.memory_mib)}


def _wider(demand: Demand, find: Find) -> Iterator[Offer]:
    """Yield the claim over a whole cluster instead of one NVLink domain, where that is what it asked for."""
    if demand.in_domain or not demand.claim.spec.topology.must_be(Scope.NVLINK_DOMAIN):
        return
    claim = with_spec(demand.claim, topology=Topology(scope=Scope.CLUSTER))
    if find(replace(demand, claim=claim)) is not None:
        yield _offer(demand, OfferKind.WIDER, scope=Scope.CLUSTER)


def _elsewhere(demand: Demand, find: Find) -> Iterator[Offer]:
    asked = demand.claim.spec.placement
    anywhere = Placement(
        max_share_per_provider_percent=asked.max_share_per_provider_percent,
        min_clusters=asked.min_clusters,
    )
    if asked == anywhere:
        return
    found = find(replace(demand, claim=with_spec(demand.claim, placement=anywhere)))
    if found is not None:
        there = {s.lease.spec.location.jurisdiction for s in found.supplies}
        yield _offer(demand, OfferKind.ELSEWHERE, jurisdictions=tuple(sorted(there)))


def _classes(demand: Demand, rules: Rules, find: Find) -> Iterator[Offer]:
    """Yield other classes that the tenant may claim, the cheapest first."""
    names = [n for n in rules.class_names() if n != demand.claim.spec.class_name]
    read = [rules.read(with_spec(demand.claim, class_name=n)) for n in names[:_CLASSES_TRIED]]
    others = [each for each in read if isinstance(each, Demand)]
    others = [each for each in others if each.offer.spec.currency == demand.offer.spec.currency]
    # an approval is one of the claim's own class
    limits = [(x, x.offer.spec.approval_above_gpus) for x in others]
    others = [x for x, limit in limits if limit is None or x.gpus <= limit]
    for other in sorted(others, key=lambda d: (d.price, d.offer.metadata.name)):
        if find(other) is not None:
            yield _offer(other, OfferKind.OTHER_CLASS)


def _split(
    demand: Demand, standings: Standings, rules: Rules, find: Find, affords: Affords
) -> Iterator[Offer]:
    """Yield several claims for what is too much for one, if there is room, quota and money for them all."""
    if demand.claim.spec.placement.is_spread:
        return
    supplies = _selling(demand, standings.of(Standing.OPEN, Standing.UNFIT))
    for size in sorted(_node_sizes(demand, supplies), reverse=True):
        nodes = -(-demand.gpus // size)
        for claims in _numbers(demand, nodes):
            each = -(-nodes // claims)
            part = demand.of_size(size * each)
            if not rules.is_approved(demand.claim, demand.offer, part.gpus):
                continue
            if _claims_of(demand, size, each, supplies) < claims or find(part) is None:
                continue
            if affords(demand.of_size(part.gpus * claims), supplies):
                yield _offer(part, OfferKind.SPLIT, claims=claims)
                return


def _numbers(demand: Demand, nodes: int) -> Iterable[int]:
    """Return into how many claims so many nodes may be split, the fewest first."""
    if must_have_one_node(demand.claim):
        return (nodes,) if nodes > 1 else ()
    if must_have_domain(demand):
        return range(2, min(nodes, _CLAIMS_TRIED) + 1)
    return (-(-nodes // MAX_NODES),) if nodes > MAX_NODES else ()


def _claims_of(demand: Demand, size: int, nodes: int, supplies: Sequence[LeaseSupply]) -> int:
    """Return how many claims on so many nodes each there is room for."""
    if nodes > 1 and must_have_domain(demand):
        return sum(room // nodes for room in rooms_in_domains(demand, size, supplies))
    wanted, begin = Wanted(size, demand.memory_mib), demand.start_ms
    room = sum(s.nodes_for(wanted, size, begin, demand.until_on(s.ends_ms)) for s in supplies)
    return room // nodes


def _offer(
    demand: Demand,
    change: OfferKind,
    *,
    gpus: int | None = None,
    claims: int = 1,
    start_time: Millis | None = None,
    end_time: Millis | None = None,
    jurisdictions: Iterable[str] = (),
    scope: Scope | None = None,
) -> Offer:
    own = demand.start_ms if demand.is_ahead else None
    return Offer(
        change=change,
        class_name=demand.offer.metadata.name,
        gpus=gpus if gpus is not None else demand.gpus,
        claims=claims,
        start_time=start_time if start_time is not None else own,
        end_time=end_time,
        jurisdictions=tuple(jurisdictions),
        scope=scope,
        price_per_gpu_hour=demand.price,
        currency=demand.offer.spec.currency,
    )
