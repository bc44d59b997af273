"""Claims that hold GPUs of a lease in a given time: what coverage, balance and outlook are made of."""

from decimal import Decimal

from sublet.api import claim_status
from sublet.api.gpuclaim import Access, Allocation, ClusterAccess, GpuClaim, Release
from sublet.api.gpulease import GpuLease
from sublet.api.relocation import PlacedNode, ReleaseCause
from sublet.api.times import MS_PER_HOUR, Millis
from sublet.ledger.terms import PriceTerms
from tests.builders.api import NOW, as_claim, claim, uid_of


def hour(hours: float) -> Millis:
    """Return the instant so many hours after NOW."""
    return Millis(NOW + int(hours * MS_PER_HOUR))


def sold(
    name: str,
    lease: GpuLease,
    gpus: int,
    *,
    from_ms: Millis = NOW,
    bound_ms: Millis | None = None,
    until_ms: Millis | None = None,
    price: str = "3.99",
    currency: str = "USD",
) -> GpuClaim:
    """Return a bound claim on GPUs of a lease, decided at `from_ms` and bound then too unless said otherwise."""
    begun = reserved(name, lease, gpus, from_ms, until_ms, price=price, currency=currency)
    return bound(begun, from_ms if bound_ms is None else bound_ms)


def reserved(
    name: str,
    lease: GpuLease,
    gpus: int,
    from_ms: Millis = NOW,
    until_ms: Millis | None = None,
    *,
    price: str = "3.99",
    currency: str = "USD",
) -> GpuClaim:
    """Return a claim for which GPUs of a lease are reserved and not yet bound."""
    asked = as_claim(claim(name, gpus=min(gpus, 32_768)))
    terms = PriceTerms(Decimal(price), currency)
    allocation = Allocation(
        sequence=1,
        tenant="acme",
        tenant_uid=uid_of("acme"),
        price_per_gpu_hour=terms.per_gpu_hour,
        currency=currency,
        price_hash=terms.hash,
        decided_time=from_ms,
        until_time=until_ms,
        until_cause=ReleaseCause.COMPLETED if until_ms is not None else None,
        placements=tuple(
            PlacedNode(
                lease=lease.spec.tenant_alias,
                lease_uid=lease.metadata.uid,
                product=lease.spec.product,
                gpus=min(25_000, gpus - done),
                node=f"{name}-{done}",
                node_uid=uid_of(f"{name}-{done}"),
            )
            for done in range(0, gpus, 25_000)
        ),
    )
    return _with(asked, claim_status.reserved(asked, allocation, from_ms))


def bound(each: GpuClaim, at_ms: Millis) -> GpuClaim:
    """Return a reserved claim once it is bound."""
    cluster = ClusterAccess(alias="west", namespace="c", expiration_time=at_ms)
    access = Access(secret_name="s", clusters=(cluster,))
    return _with(each, claim_status.bound(each, at_ms, access, at_ms))


def given_back(each: GpuClaim, release_ms: Millis, done_ms: Millis | None = None) -> GpuClaim:
    """Return a claim whose GPUs are being taken back since `release_ms`, and are free since `done_ms` if given."""
    release = Release(cause=ReleaseCause.DELETED, release_time=release_ms, sequence=1)
    going = _with(each, claim_status.releasing(each, release, release_ms))
    return going if done_ms is None else _with(going, claim_status.released(going, done_ms))


def _with(each: GpuClaim, status: object) -> GpuClaim:
    return each.model_copy(update={"status": status})
