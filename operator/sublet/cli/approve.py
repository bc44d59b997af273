"""`sublet approve NAMESPACE/NAME`: a person's word that a claim may have more GPUs than its class gives to all.

Guarded by the claim's UID and resourceVersion: what is approved is what the person saw. Admission decides who may.
"""

from typing import Any

from sublet.api.approval import APPROVED, APPROVED_BY, approval_text, approved_gpus
from sublet.api.gpuclaim import GpuClaim
from sublet.api.kinds import CLAIMS
from sublet.api.wording import how_many
from sublet.cli.connect import Cluster
from sublet.cli.guarded import guarded_patch, write_as_shown
from sublet.cli.identity import own_name
from sublet.cli.objects import with_claim


def command(claim: str, context: str | None, *, withdraw: bool) -> None:
    """Approve a claim, given as NAMESPACE/NAME, or take that back."""
    namespace, _, name = claim.rpartition("/")

    async def work(hub: Cluster, raw: dict[str, Any]) -> None:
        print(await (take_back if withdraw else approve)(hub, raw))

    with_claim(work, name, namespace or None, context)


async def approve(hub: Cluster, raw: dict[str, Any]) -> str:
    """Approve a claim as it stands; return what was done."""
    claim = GpuClaim.model_validate(raw)
    meta, gpus = claim.metadata, claim.spec.gpus
    if approved_gpus(claim) >= gpus:
        return f"{meta.key} is approved for {how_many(approved_gpus(claim), 'GPU')} already"
    name = await own_name(hub)  # hubs below 1.36 don't write it into an approval themselves
    said = {**meta.annotations, APPROVED: approval_text(claim), APPROVED_BY: name}
    await _write(hub, claim, said)
    return f"{meta.key} is approved for {how_many(gpus, 'GPU')}"


async def take_back(hub: Cluster, raw: dict[str, Any]) -> str:
    """Take an approval back; return what was done. What was reserved on it stays."""
    claim = GpuClaim.model_validate(raw)
    kept = {k: v for k, v in claim.metadata.annotations.items() if k not in (APPROVED, APPROVED_BY)}
    if kept == claim.metadata.annotations:
        return f"{claim.metadata.key} isn't approved"
    await _write(hub, claim, kept)
    return f"{claim.metadata.key} isn't approved any more; what it has it keeps"


async def _write(hub: Cluster, claim: GpuClaim, annotations: dict[str, str]) -> None:
    async def write(claim: GpuClaim) -> None:
        meta = claim.metadata
        patch = guarded_patch(claim, "add", "/metadata/annotations", annotations)
        await hub.patch(CLAIMS.path(meta.namespace, meta.name), patch)

    await write_as_shown(hub, claim, _approved, write, "look at it and approve again")


def _approved(claim: GpuClaim) -> tuple[object, ...]:
    """Return what an approval is about, and the annotations it is written among."""
    return claim.metadata.generation, claim.metadata.annotations
