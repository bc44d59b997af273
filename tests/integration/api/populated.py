"""One object of each kind with everything that a column shows, and the row that kubectl makes of it."""

from dataclasses import dataclass
from typing import Any

from tests.builders.api import CREATED, claim, gpu_class, lease, statement, tenant, uid_of
from tests.integration.api.asking import Body


@dataclass(frozen=True)
class Populated:
    """An object, its status and its row of `kubectl get -o wide`, less name and age."""

    body: Body
    status: dict[str, Any]
    row: dict[str, str]


def ready(type_: str, status: str, reason: str, message: str = "") -> dict[str, str]:
    """Return a condition."""
    words = {"type": type_, "status": status, "reason": reason, "message": message}
    return {**words, "lastTransitionTime": CREATED}


ALLOCATION: dict[str, Any] = {
    "sequence": 1,
    "tenant": "acme",
    "tenantUID": uid_of("acme"),
    "pricePerGpuHour": "3.99",
    "currency": "USD",
    "priceHash": "0" * 64,
    "decidedTime": CREATED,
    "untilTime": "2026-12-22T09:00:00.123Z",
    "placements": [
        {
            "lease": "west",
            "leaseUID": uid_of("west"),
            "product": "NVIDIA-H100-80GB-HBM3",
            "gpus": 8,
            "node": "h100-1",
            "nodeUID": uid_of("h100-1"),
        }
    ],
}

POPULATED = {
    "GpuClaim": Populated(
        claim("shown"),
        {
            "conditions": [
                ready("Ready", "True", "Bound", "8 GPUs on 1 node"),
                ready("Reserved", "True", "Reserved"),
                ready("Bound", "True", "Bound"),
            ],
            "allocation": ALLOCATION,
        },
        {
            "CLASS": "h100",
            "GPUS": "8",
            "RESERVED": "True",
            "BOUND": "True",
            "REASON": "Bound",
            "UNTIL": "2026-12-22T09:00:00.123Z",
            "PRICE": "3.99",
            "MESSAGE": "8 GPUs on 1 node",
        },
    ),
    "GpuClass": Populated(
        gpu_class("shown", products=("NVIDIA-H100-80GB-HBM3", "NVIDIA-H200")),
        {"conditions": [ready("Ready", "True", "Ready")]},
        {
            "PRODUCTS": '["NVIDIA-H100-80GB-HBM3","NVIDIA-H200"]',
            "CURRENCY": "USD",
            "READY": "True",
            "PRICING": "Fixed",
        },
    ),
    "GpuLease": Populated(
        lease("shown", end="2027-06-30T11:30:00Z"),
        {
            "conditions": [
                ready("Ready", "False", "Unreachable"),
                ready("Reachable", "Unknown", "TimedOut"),
            ],
            "inventory": {"committed": 64, "healthy": 56, "bound": 24, "reserved": 8, "free": 0},
            "outlook": [
                {"time": "2026-12-22T09:00:00.123Z", "committed": 64, "sellable": 56, "free": 56},
                {"time": "2027-06-30T11:30:00Z"},
            ],
        },
        {
            "PRODUCT": "NVIDIA-H100-80GB-HBM3",
            "COMMITTED": "64",
            "BOUND": "24",
            "FREE": "0",
            "READY": "False",
            "REASON": "Unreachable",
            "ENDS": "2027-06-30T11:30:00Z",
            "PROVIDER": "landlord-of-shown",
            "REGION": "r1",
            "HEALTHY": "56",
            "RESERVED": "8",
            "REACHABLE": "Unknown",
        },
    ),
    "GpuTenant": Populated(
        tenant("shown", namespaces=("acme", "acme-research")),
        {"conditions": [ready("Ready", "True", "Ready")]},
        {
            "ACCOUNT": "shown-1",
            "READY": "True",
            "NAMESPACES": '["acme","acme-research"]',
        },
    ),
    "GpuStatement": Populated(
        statement("shown"),
        {
            "conditions": [
                ready("Ready", "True", "Metered"),
                ready("Closed", "False", "PeriodOpen"),
            ],
            "total": "9465.98",
            "asOfTime": "2026-11-22T09:00:00.123Z",
        },
        {
            "MONTH": "2026-11",
            "TOTAL": "9465.98",
            "CURRENCY": "USD",
            "CLOSED": "False",
            "UNTIL": "2026-11-22T09:00:00.123Z",
            "TENANT": "acme",
            "READY": "True",
        },
    ),
}
