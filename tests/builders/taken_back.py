"""Claims that may be taken back, and those that rank higher: the class spot with ten minutes of notice, beside a safe one."""

from typing import Any

from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.ids import ClaimUID
from sublet.book.decisions import Extend, Plan
from sublet.book.inventory import LeaseInventory
from sublet.book.plan import plan
from sublet.book.view import View
from tests.builders.api import as_claim, as_class, as_tenant, claim, gpu_class, tenant
from tests.builders.fleet import after, view

NOTICE_MS = 600_000
CLASSES = (
    as_class(),
    as_class(gpu_class("spot", guarantee="Preemptible", noticeSeconds=NOTICE_MS // 1_000)),
)
ACME = (as_tenant(tenant(priorityClasses=["low", "mid", "high"])),)
PRIORITIES = {"low": 0, "mid": 5, "high": 10}


def asking(
    name: str, gpus: int = 8, priority: str = "low", class_name: str = "spot", minute: int = 0
) -> GpuClaim:
    """Return a claim without a duration that came at a minute."""
    body = claim(name, gpus=gpus, class_name=class_name, priorityClassName=priority)
    return as_claim(body, creationTimestamp=f"2026-11-22T09:{minute:02d}:00Z")


def on(leases: list[tuple[GpuLease, LeaseInventory]], *claims: GpuClaim, **fields: Any) -> View:
    """Return these claims on a fleet."""
    return view(claims, leases, classes=CLASSES, tenants=ACME, priorities=PRIORITIES, **fields)


def holding(leases: list[tuple[GpuLease, LeaseInventory]], *claims: GpuClaim) -> list[GpuClaim]:
    """Return claims as they are once the book has served them."""
    seen = on(leases, *claims)
    return list(after(seen, plan(seen)).claims)


def taken(made: Plan) -> dict[ClaimUID, Extend]:
    """Return claim -> the end that it is given."""
    return {d.claim_uid: d for d in made.decisions if isinstance(d, Extend)}
