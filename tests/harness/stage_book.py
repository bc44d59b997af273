"""What the book says on the stage of docs/cli.md, so that the page shows no answer that an operator wouldn't give.

Sixteen GPUs now and 48 from December on; half of the sixteen are held for five more days, and one claim waits for both
halves. Read by the stage.
"""

from typing import Any, Final

from sublet.api import claim_status
from sublet.api.gpuclaim import GpuClaim
from sublet.api.pending import Pending
from sublet.api.times import Millis, format_instant, parse_instant
from sublet.book.plan import plan
from sublet.book.view import View
from tests.builders.api import LONG_AGO, as_claim, as_lease, as_tenant, claim, lease, tenant
from tests.builders.fleet import held, inventory, nodes, refusal_of, view
from tests.builders.stored import status_of

NOON: Final = parse_instant("2026-11-22T12:00:00Z")
DAY_MS: Final = 86_400_000
Json = dict[str, Any]


def waits() -> Json:
    """Return the claim that waits, with what it was told."""
    body = claim("finetune", "globex", gpus=16)
    made = {"uid": as_claim(body).metadata.uid, "creationTimestamp": "2026-11-22T11:00:00Z"}
    body["metadata"] |= made
    return {**body, "status": said_of(body)}


def said_of(asked: Json) -> Json:
    """Return the status of a claim that the book refuses, which a quote is."""
    read = GpuClaim.model_validate(asked)
    refused = refusal_of(plan(_seen(read)), read)
    pending = Pending(
        reason=refused.reason,
        message=refused.message,
        position=refused.position,
        estimated_start_time=refused.estimated_ms,
    )
    status = claim_status.waiting(read, pending, NOON, refused.offers)
    return status_of(read.model_copy(update={"status": status}))


def _seen(asked: GpuClaim) -> View:
    """Return what the book sees as a claim is judged; the one that waits is there in any case."""
    phases = [(LONG_AGO, 16), (format_instant(Millis(NOON + 12 * DAY_MS)), 48)]
    steps = [{"commitmentId": f"{gpus}", "startTime": at, "gpus": gpus} for at, gpus in phases]
    west = as_lease(lease("west", commitment={"phases": steps}))
    both = nodes(west, 2)
    body = claim("busy", schedule={"durationSeconds": 5 * DAY_MS // 1_000})
    busy = held(as_claim(body), west, both[:1], until_ms=Millis(NOON + 5 * DAY_MS), decided_ms=NOON)
    first = as_claim(claim("finetune", "globex", gpus=16))
    others = [] if first.metadata.uid == asked.metadata.uid else [first]
    payers = tuple(as_tenant(tenant(name, namespaces=(name,))) for name in ("acme", "globex"))
    fleet = [(west, inventory(west, both))]
    return view([busy, *others, asked], fleet, now_ms=NOON, tenants=payers)
