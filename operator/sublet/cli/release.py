"""`sublet release`: give a claim's GPUs back. Says what ends and what that costs, and asks before it does it.

The claim is deleted, or suspended if it is to be kept. Either is guarded by UID and resourceVersion: what ends is what
the person was shown, though the operator may have written to the claim since.
"""

import asyncio
import contextlib
import json
import signal
import sys
from decimal import Decimal
from functools import partial
from typing import Any

from sublet.api.common import is_true
from sublet.api.gpuclaim import Allocation, GpuClaim
from sublet.api.kinds import CLAIMS
from sublet.api.times import MS_PER_HOUR, Millis
from sublet.api.wording import how_many
from sublet.book.cancellation import given_up
from sublet.book.holdings import held_by
from sublet.cli.connect import Cluster
from sublet.cli.durations import duration
from sublet.cli.explain import asked
from sublet.cli.following import follow, is_seen
from sublet.cli.guarded import guarded_patch, write_as_shown
from sublet.cli.objects import with_claim
from sublet.cli.output import show_fields
from sublet.cli.problems import Problem
from sublet.clock import SystemClock
from sublet.kube.errors import NotFound


def command(
    name: str,
    place: tuple[str | None, str | None],
    wait_seconds: int,
    *,
    keep: bool,
    agreed: bool,
) -> None:
    """Show what ends, ask, and end it."""
    namespace, context = place

    async def work(hub: Cluster, raw: dict[str, Any]) -> None:
        claim = GpuClaim.model_validate(raw)
        key = claim.metadata.key
        if keep and claim.spec.suspended:
            raise Problem(f"claim {key} is suspended already: it holds nothing, or gives it back")
        now_ms = SystemClock().now_ms()
        show_fields(what_ends(claim, now_ms))
        if not agreed:
            await asyncio.sleep(0)  # a Ctrl-C until now ends it here, before the question
            if not _asked_person(key):
                print("nothing was changed")
                return
        shows = partial(what_ends, now_ms=now_ms)
        write = partial(_suspend if keep else _delete, hub)
        await write_as_shown(hub, claim, shows, write, "look at what ends and say it again")
        print(f"{key} is {'suspended' if keep else 'deleted'}; its GPUs are taken back")
        if wait_seconds:
            await _wait(hub, claim, wait_seconds)

    with_claim(work, name, namespace, context)


def what_ends(claim: GpuClaim, now_ms: Millis) -> dict[str, object]:
    """Return what a release ends, as lines for the person."""
    held = held_by(claim)
    shown: dict[str, object] = {"Claim": claim.metadata.key, "Asked for": asked(claim)}
    if held is None:
        return shown | {"Ends": "nothing is held; the claim waits no longer"}
    where = ", ".join(sorted({p.lease for p in held.placements or held.bookings}))
    begun = f", {duration((now_ms - held.bound_time) // 1_000)} so far" if held.bound_time else ""
    left = (held.until_time - now_ms) // 1_000 if held.until_time and held.bound_time else 0
    early = f", {duration(left)} before their end" if left > 0 else ""
    namespaces = claim.status.access.clusters if claim.status.access is not None else ()
    return shown | {
        "Ends": f"{how_many(held.gpus, 'GPU')} at {where}{begun}{early}",
        "Price": f"{held.price_per_gpu_hour:f} {held.currency} per GPU-hour, up to the release",
        "Deleted": "\n".join(f"all that is in namespace {c.namespace} at {c.alias}" for c in namespaces),
        "Costs": _costs(claim, held, now_ms),
    }  # fmt: skip


def _costs(claim: GpuClaim, held: Allocation, now_ms: Millis) -> str:
    """Say what giving up a window costs, as it was agreed."""
    if held.cancellation is None:
        return ""
    lost = given_up(claim, held, now_ms, now_ms)
    hours = sum((Decimal(x.gpus * (x.until_time - x.from_time)) / MS_PER_HOUR for x in lost), Decimal(0))  # fmt: skip
    if not hours:
        return "giving up the window costs nothing now"
    amount = hours * held.cancellation.price(held.price_per_gpu_hour)
    share = held.cancellation.charge_percent
    return f"{amount:.2f} {held.currency}: {share}% of {hours:.2f} GPU-hours of the window that are given up"


def is_attended() -> bool:
    """Say whether somebody sits there who can answer."""
    return sys.stdin is not None and sys.stdin.isatty()  # None: it was closed


def _asked_person(key: str) -> bool:
    """Ask; Ctrl-C ends the program here, while asyncio would only note it and let an answer go on to the write."""
    if not is_attended():
        raise Problem(f"nobody is there to be asked whether {key} is to end; say --yes if it is")
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return input(f"Release {key}? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False
    finally:
        signal.signal(signal.SIGINT, handler)


async def _delete(hub: Cluster, claim: GpuClaim) -> None:
    meta = claim.metadata
    conditions = {"uid": meta.own_uid, "resourceVersion": meta.resource_version}
    options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": conditions}
    with contextlib.suppress(NotFound):
        await hub.request(
            "DELETE", CLAIMS.path(meta.namespace, meta.name), body=json.dumps(options).encode()
        )


async def _suspend(hub: Cluster, claim: GpuClaim) -> None:
    meta = claim.metadata
    patch = guarded_patch(claim, "add", "/spec/suspended", value=True)
    await hub.patch(CLAIMS.path(meta.namespace, meta.name), patch)


async def _wait(hub: Cluster, claim: GpuClaim, seconds: int) -> None:
    # others' finalizers may keep the object of a deleted claim
    seen, is_free = await follow(hub, claim, _holds_nothing, seconds)
    if seen is not None and not is_free:
        raise Problem(
            f"the GPUs of {claim.metadata.key} aren't free after {how_many(seconds, 'second')}; they aren't billed to you any more"
        )
    print("its GPUs are free")


def _holds_nothing(claim: GpuClaim) -> bool:
    held = ("Reserved", "Bound", "Releasing")
    return is_seen(claim) and not any(is_true(claim.status.conditions, each) for each in held)
