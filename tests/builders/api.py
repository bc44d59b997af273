"""API objects for tests: sensible defaults, anything overridden by name. Dicts as a user writes them, or models."""

import uuid
from typing import Any, TypeVar

from sublet.api.gpuclaim import ClaimStatus, GpuClaim
from sublet.api.gpuclass import GpuClass
from sublet.api.gpulease import GpuLease
from sublet.api.gputenant import GpuTenant
from sublet.api.schema import ApiModel
from sublet.api.times import Millis, parse_instant

M = TypeVar("M", bound=ApiModel)

API = "sublet.dev/v1alpha1"
NOW: Millis = parse_instant("2026-11-22T10:00:00Z")
CREATED = "2026-11-22T09:00:00Z"
LONG_AGO = "2026-01-01T00:00:00Z"


def claim(
    name: str = "train",
    namespace: str = "acme",
    *,
    class_name: str = "h100",
    gpus: int = 8,
    **spec: Any,
) -> dict[str, Any]:
    """Return a GpuClaim as a tenant writes it."""
    return _object("GpuClaim", name, {"className": class_name, "gpus": gpus, **spec}, namespace)


def lease(
    name: str = "west",
    *,
    product: str = "NVIDIA-H100-80GB-HBM3",
    committed: int = 64,
    jurisdiction: str = "EU",
    region: str = "r1",
    end: str | None = None,
    term: dict[str, Any] | None = None,
    mode: str = "TakeOrPay",
    **spec: Any,
) -> dict[str, Any]:
    """Return a GpuLease as the platform team writes it."""
    body: dict[str, Any] = {
        "provider": f"landlord-of-{name}",
        "tenantAlias": name,
        "contract": {"id": f"C-{name}"},
        "clusterRef": {"kubeconfigSecretRef": {"name": name}},
        "product": product,
        "location": {"jurisdiction": jurisdiction, "country": "ES", "region": region},
        "term": {"startTime": LONG_AGO, **({"endTime": end} if end else {}), **(term or {})},
        "commitment": {
            "mode": mode,
            "phases": [{"commitmentId": "all", "startTime": LONG_AGO, "gpus": committed}],
        },
        "prices": [{"effectiveTime": LONG_AGO, "perGpuHour": "2.35"}],
        "currency": "USD",
        **spec,
    }
    return _object("GpuLease", name, body)


def gpu_class(
    name: str = "h100",
    *,
    products: tuple[str, ...] = ("NVIDIA-H100-80GB-HBM3",),
    price: str = "3.99",
    **spec: Any,
) -> dict[str, Any]:
    """Return a GpuClass."""
    body = {
        "products": list(products),
        "prices": [{"effectiveTime": LONG_AGO, "perGpuHour": price}],
        "currency": "USD",
        **spec,
    }
    return _object("GpuClass", name, body)


def tenant(
    name: str = "acme", *, namespaces: tuple[str, ...] = ("acme",), **spec: Any
) -> dict[str, Any]:
    """Return a GpuTenant."""
    body = {"namespaces": list(namespaces), "billingAccountId": f"{name}-1", **spec}
    return _object("GpuTenant", name, body)


def statement(
    name: str = "acme-2026-11-usd", namespace: str = "acme", **spec: Any
) -> dict[str, Any]:
    """Return a GpuStatement as the operator makes it, without what it says."""
    body = {"tenant": "acme", "tenantUID": uid_of("acme"), "month": "2026-11", "currency": "USD"}
    return _object("GpuStatement", name, {**body, **spec}, namespace)


def as_claim(body: dict[str, Any] | None = None, **meta: Any) -> GpuClaim:
    """Return a claim as the hub shows it."""
    return _stored(GpuClaim, body or claim(), meta)


def as_lease(body: dict[str, Any] | None = None, **meta: Any) -> GpuLease:
    """Return a lease as the hub shows it."""
    return _stored(GpuLease, body or lease(), meta)


def as_class(body: dict[str, Any] | None = None, **meta: Any) -> GpuClass:
    """Return a class as the hub shows it."""
    return _stored(GpuClass, body or gpu_class(), meta)


def as_tenant(body: dict[str, Any] | None = None, **meta: Any) -> GpuTenant:
    """Return a tenant as the hub shows it."""
    return _stored(GpuTenant, body or tenant(), meta)


def with_status(each: GpuClaim, status: ClaimStatus | None = None, **fields: Any) -> GpuClaim:
    """Return a claim with another status, or with some fields of its status changed."""
    changed = (status or each.status).model_copy(update=fields)
    return each.model_copy(update={"status": changed})


def uid_of(text: str) -> str:
    """Return a UID that is the same for the same text."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, text))


def _object(kind: str, name: str, spec: dict[str, Any], namespace: str = "") -> dict[str, Any]:
    meta = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": API, "kind": kind, "metadata": meta, "spec": spec}


def _stored(model: type[M], body: dict[str, Any], meta: dict[str, Any]) -> M:
    key = f"{body['kind']}/{body['metadata'].get('namespace', '')}/{body['metadata']['name']}"
    stored = {
        "uid": uid_of(key),
        "resourceVersion": "1",
        "generation": 1,
        "creationTimestamp": CREATED,
        **body["metadata"],
        **meta,
    }
    return model.model_validate({**body, "metadata": stored})
