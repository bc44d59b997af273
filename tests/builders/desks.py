"""Pools as the platform team's page shows them: one at work, an empty one, a very large one, and one whose names attack the page."""

from collections.abc import Iterable
from typing import Any, Final

from sublet.api import claim_status
from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import GpuLease, InventoryStatus
from sublet.api.pending import Pending, PendingReason
from sublet.api.times import Millis, format_instant
from sublet.book.contract import committed_at
from sublet.book.holdings import Term, held_until, holds
from sublet.book.outlook import outlook
from sublet.book.view import View
from tests.builders.api import LONG_AGO, NOW, as_claim, as_class, as_lease, claim, gpu_class, lease
from tests.builders.sales import hour, reserved, sold

H100, H200, B200, L40S = "NVIDIA-H100-80GB-HBM3", "NVIDIA-H200", "NVIDIA-B200", "NVIDIA-L40S"
CLASSES: Final = (
    as_class(gpu_class("h100", products=(H100,))),
    as_class(gpu_class("h200", products=(H200,), price="4.80")),
)
LEASES: Final = 50
CLAIMS: Final = 1_000
"""How large the large pool is."""
EVIL: Final = "</title></style><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
"""What no API server takes as a name; a page must not rely on that."""


def days(number: float) -> Millis:
    """Return the instant so many days after NOW."""
    return hour(24 * number)


def waits(name: str, gpus: int, reason: str, message: str, start: Millis | None = None, **asked: Any) -> GpuClaim:  # fmt: skip
    """Return a claim that has no GPUs, with why."""
    pending = Pending(reason=PendingReason(reason), message=message, estimated_start_time=start)
    each = as_claim(claim(name, gpus=gpus, **asked))
    return each.model_copy(update={"status": claim_status.waiting(each, pending, NOW)})


def counted(each: GpuLease, claims: Iterable[GpuClaim]) -> GpuLease:
    """Return a lease with the counts and steps that the operator writes; all its nodes are there and well."""
    held = [c for c in claims if holds(c) and _gpus(c, each)]
    committed = committed_at(each, NOW)
    is_bound = {True: 0, False: 0}
    for one in held:
        is_bound[one.status.access is not None] += _gpus(one, each)
    used = sum(is_bound.values())
    terms = [Term(held_until(c.status.allocation, NOW), _gpus(c, each)) for c in held]
    there = max(committed, used)
    status = {
        "inventory": InventoryStatus(
            committed=committed, delivered=there, healthy=there,
            bound=is_bound[True], reserved=is_bound[False], free=max(0, committed - used),
        ),
        "outlook": outlook(each, delivered=there, healthy=there, terms=terms, now_ms=NOW),
    }  # fmt: skip
    return each.model_copy(update={"status": each.status.model_copy(update=status)})


def working() -> View:
    """Return a pool of four leases: one that earns, one that loses, one that ends soon, one paid by use."""
    madrid = as_lease(lease("madrid-h100", commitment=_ramp((-90, 32), (12, 64))))
    ohio = as_lease(lease("ohio-h200", product=H200, committed=16, prices=_price("3.00")))
    oslo = as_lease(
        lease("oslo-b200", product=B200, committed=24, end=format_instant(days(9)), currency="EUR", prices=_price("4.10"))
    )  # fmt: skip
    flex = as_lease(lease("flex-l40s", product=L40S, committed=8, mode="PayAsYouGo", prices=_price("0.80")))  # fmt: skip
    claims = (
        sold("llama-pretrain", madrid, 16, from_ms=days(-20)),
        sold("rlhf", madrid, 8, from_ms=days(-3), until_ms=days(5)),
        reserved("eval-nightly", madrid, 4, NOW, days(1)),
        sold("vision-finetune", ohio, 4, from_ms=days(-1), until_ms=days(8), price="4.80"),
        sold("diffusion", oslo, 16, from_ms=days(-6), until_ms=days(7), price="6.20"),
        sold("embeddings", oslo, 8, from_ms=days(-2), until_ms=days(2), price="6.20"),
        sold("notebooks", flex, 2, from_ms=days(-2), price="1.40"),
        waits("moe-scaling", 16, "WaitingForCapacity", "28 of 32 GPUs of class h100 are held; 16 are free when madrid-h100 grows", days(12)),
        waits("serve-chat", 8, "WaitingForCapacity", "28 of 32 GPUs of class h100 are held; 8 are free when rlhf ends", days(5)),
        waits("backfill", 32, "ExceedsBudget", "the tenant has 412.50 USD left this month, 32 GPUs for 3 days cost 9192.96 USD"),
    )  # fmt: skip
    return view_of((madrid, ohio, oslo, flex), claims)


def nothing() -> View:
    """Return a pool on its first day: no lease, no claim, no class."""
    return View(NOW)


def huge() -> View:
    """Return 1,000 claims that hold GPUs of 50 leases, and 40 that wait."""
    leases = [as_lease(lease(f"landlord-{i:02d}-h100", committed=160)) for i in range(LEASES)]
    claims = [
        sold(f"train-{i:04d}", leases[i % LEASES], 8 if i % 3 else 4, from_ms=days(-(i % 9)), until_ms=days(1 + i % 40))
        for i in range(CLAIMS)
    ]  # fmt: skip
    waiting = [waits(f"queued-{i:02d}", 64, "WaitingForCapacity", "no lease of class h100 has 64 GPUs free", days(1 + i)) for i in range(40)]  # fmt: skip
    return view_of(leases, (*claims, *waiting))


def hostile() -> View:
    """Return a pool in which every text that somebody else writes is an attack, or very long."""
    each = as_lease(lease("west", committed=16), name=EVIL)
    long = as_lease(lease("east", committed=8), name="x" * 253)
    held = sold("a", each, 8)
    claims = (
        held.model_copy(update={"metadata": held.metadata.model_copy(update={"name": EVIL})}),
        sold("y" * 240, long, 8),
        waits("b", 4, "Misconfigured", f"'\"><svg onload=document.title='owned'> {EVIL} " + "w" * 300),
    )  # fmt: skip
    return view_of((each, long), claims)


def view_of(leases: Iterable[GpuLease], claims: Iterable[GpuClaim]) -> View:
    """Return what a replica knows of these leases and claims."""
    all_claims = tuple(claims)
    return View(NOW, all_claims, tuple(counted(x, all_claims) for x in leases), CLASSES)


def _gpus(each: GpuClaim, of: GpuLease) -> int:
    allocation = each.status.allocation
    places = allocation.placements if allocation is not None else ()
    return sum(p.gpus for p in places if p.lease_uid == of.metadata.uid)


def _price(amount: str) -> list[dict[str, str]]:
    return [{"effectiveTime": LONG_AGO, "perGpuHour": amount}]


def _ramp(*levels: tuple[float, int]) -> dict[str, Any]:
    phases = [
        {"commitmentId": f"phase-{i}", "startTime": format_instant(days(at)), "gpus": gpus}
        for i, (at, gpus) in enumerate(levels, 1)
    ]
    return {"mode": "TakeOrPay", "phases": phases}
