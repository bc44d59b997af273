"""The engine: one task per claim at a time, driven by what the claim's status says.

`tend` is told of every claim that may need work and starts nothing twice. Failures are retried here with jittered
back-off for ever; what a claim waits for is said in its Ready condition. Every write's answer goes to `on_claim`, so
that the next pass sees it before the watch does.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from sublet.api import claim_status
from sublet.api.common import find_condition, is_true
from sublet.api.gpuclaim import Allocation, ClaimStatus, GpuClaim, Release
from sublet.api.ids import ClaimUID
from sublet.api.kinds import RELEASE_FINALIZER
from sublet.binder.access import renewal_ms
from sublet.binder.bind import bind, renew
from sublet.binder.claims import Outrun
from sublet.binder.ports import ClusterSilent, Interrupted, LostRace, Tools
from sublet.binder.proof import IsolationFault
from sublet.binder.release import StillThere, finish, release
from sublet.book.decisions import Extend, Reserve, Take
from sublet.kube.errors import KubeError, NotFound
from sublet.ledger.port import LedgerConflict, LedgerUnavailable
from sublet.ledger.terms import PriceTerms

_FIRST_WAIT_SECONDS: Final = 0.2
_LONGEST_WAIT_SECONDS: Final = 30.0
_REQUESTED_BY: Final = "sublet.dev/requested-by"
_HUB_WRITES_AT_ONCE: Final = 16

Work = Callable[[GpuClaim], Awaitable[GpuClaim | None]]


class Binder:
    """Carries out decisions about claims."""

    def __init__(
        self,
        tools: Tools,
        *,
        on_claim: Callable[[GpuClaim], None],
        on_gone: Callable[[GpuClaim], None],
        on_idle: Callable[[ClaimUID], None],
    ) -> None:
        self._tools = tools
        self._on_claim = on_claim
        self._on_gone = on_gone
        self._on_idle = on_idle
        self._tasks: dict[
            ClaimUID, asyncio.Task[None]
        ] = {}  # claim UID -> the one task at work on it
        self._stopping: set[ClaimUID] = set()
        self._hub = asyncio.Semaphore(_HUB_WRITES_AT_ONCE)
        self._closed = False

    def is_busy(self, uid: ClaimUID) -> bool:
        """Say whether something is under way for a claim."""
        return uid in self._tasks

    def reserve(self, claim: GpuClaim, decision: Reserve) -> bool:
        """Start to carry out a reservation, then bind; return whether it was started."""
        return self._start(claim, lambda c: self._reserve(c, decision))

    def take(self, claim: GpuClaim, decision: Take) -> bool:
        """Start a release; a bind that is under way stops at its step's end first."""
        uid = ClaimUID(claim.metadata.uid)
        if uid in self._tasks:
            self._stopping.add(uid)
            return False
        return self._start(claim, lambda c: self._take(c, decision))

    def extend(self, claim: GpuClaim, decision: Extend) -> bool:
        """Start to move a claim's end."""
        return self._start(claim, lambda c: self._extend(c, decision))

    def tend(self, claim: GpuClaim) -> bool:
        """Start whatever the claim's status asks for, if anything; return whether it was started."""
        work = self._work_for(claim)
        return work is not None and self._start(claim, work)

    async def close(self, patience_seconds: float) -> None:
        """Take no more work; let every step under way end, then stop."""
        self._closed = True
        self._stopping.update(self._tasks)
        tasks = list(self._tasks.values())
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=patience_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _work_for(self, claim: GpuClaim) -> Work | None:
        """Return the protocol that a claim's status asks for."""
        conditions = claim.status.conditions
        deleting = claim.metadata.deletion_timestamp is not None
        leaving = deleting and RELEASE_FINALIZER in claim.metadata.finalizers
        if claim_status.released_ms(claim) is not None or is_true(conditions, "Ended"):
            return self._finish if leaving else None
        if is_true(conditions, "Releasing"):
            return self._release
        if not is_true(conditions, "Reserved"):
            return self._let_go if leaving else None
        if deleting:
            return None  # the book's next pass starts the release
        if not is_true(conditions, "Bound"):
            return self._bind
        return self._renew if self._is_renewal_due(claim) else None

    def _is_renewal_due(self, claim: GpuClaim) -> bool:
        due = renewal_ms(claim, self._tools.token_life_seconds)
        return due is not None and due <= self._tools.clock.now_ms()

    async def _renew(self, claim: GpuClaim) -> GpuClaim | None:
        return await renew(claim, self._tools)

    def _start(self, claim: GpuClaim, work: Work) -> bool:
        uid = ClaimUID(claim.metadata.uid)
        if self._closed or uid in self._tasks:
            return False
        task = asyncio.create_task(self._run(claim, work), name=f"claim {uid}")
        self._tasks[uid] = task
        return True

    async def _run(self, claim: GpuClaim, work: Work) -> None:
        """Work until done, trying again after failures; nothing raised here leaves this task."""
        uid = ClaimUID(claim.metadata.uid)
        log = structlog.get_logger().bind(claim=claim.metadata.key, uid=uid)
        wait = _FIRST_WAIT_SECONDS
        try:
            while True:
                try:
                    done = await work(claim)
                    self._tell(claim, done)
                    return  # noqa: TRY300  the one way out that is no error
                except (Interrupted, Outrun, NotFound) as reason:
                    log.debug("stopped", reason=str(reason))
                    await self._look_again(claim)
                    return
                except LostRace as lost:
                    await self._give_up(claim, lost)
                    return
                except StillThere as reason:
                    await self._say(claim, str(reason))
                    pause = reason.wait_seconds
                except (ClusterSilent, IsolationFault, LedgerUnavailable, LedgerConflict) as reason:
                    claim = await self._say(claim, str(reason)) or claim
                    pause = wait = self._longer(wait)
                except KubeError as error:
                    log.warning("step failed", error=str(error))
                    pause = wait = self._longer(wait)
                except Exception:
                    log.exception("step failed unexpectedly")
                    pause = wait = self._longer(wait)
                if self._closed or uid in self._stopping:
                    return
                await asyncio.sleep(min(pause, _LONGEST_WAIT_SECONDS))
                fresh = await self._reread(claim)
                if fresh is None:
                    return
                claim = fresh
                if (again := self._work_for(claim)) is None:
                    return
                work = again
        finally:
            self._tasks.pop(uid, None)
            self._stopping.discard(uid)
            self._on_idle(uid)

    def _longer(self, wait: float) -> float:
        return min(_LONGEST_WAIT_SECONDS, random.uniform(_FIRST_WAIT_SECONDS, wait * 3))

    def _checkpoint(self, claim: GpuClaim) -> Callable[[], None]:
        uid = ClaimUID(claim.metadata.uid)

        def check() -> None:
            if self._closed or uid in self._stopping:
                raise Interrupted("asked to stop")

        return check

    async def _write(self, claim: GpuClaim, status: ClaimStatus) -> GpuClaim:
        async with self._hub:
            written = await self._tools.claims.write_status(claim, status)
        self._on_claim(written)
        return written

    async def _reserve(self, claim: GpuClaim, decision: Reserve) -> GpuClaim | None:
        async with self._tools.promises.under_way():
            claim = await self._write_reservation(claim, decision)
        return await self._bind(claim)

    async def _write_reservation(self, claim: GpuClaim, decision: Reserve) -> GpuClaim:
        async with self._hub:
            claim = await self._tools.claims.add_finalizer(claim)
        allocation = Allocation(
            sequence=decision.sequence,
            tenant=decision.tenant,
            tenant_uid=decision.tenant_uid,
            requested_by=claim.metadata.annotations.get(_REQUESTED_BY, "")[:1024],
            price_per_gpu_hour=decision.price_per_gpu_hour,
            currency=decision.currency,
            price_hash=PriceTerms(decision.price_per_gpu_hour, decision.currency).hash,
            tags=claim.spec.tags,
            priority=decision.priority,
            decided_time=decision.decided_ms,
            until_time=decision.until_ms,
            until_cause=decision.until_cause,
            placements=decision.placements,
        )
        now = self._tools.clock.now_ms()
        return await self._write(claim, claim_status.reserved(claim, allocation, now))

    async def _bind(self, claim: GpuClaim) -> GpuClaim | None:
        written = await bind(claim, self._tools, self._checkpoint(claim))
        if not is_true(claim.status.conditions, "Bound"):
            gpus = written.status.allocation.gpus if written.status.allocation else 0
            self._tools.events.note(written, "Bound", f"{gpus} GPUs were handed over")
        await self._meter(written)
        return written

    async def _take(self, claim: GpuClaim, decision: Take) -> GpuClaim | None:
        live = await self._tools.claims.get(claim)
        if (
            live is None
            or live.status.allocation is None
            or not is_true(live.status.conditions, "Reserved")
        ):
            return live
        if not is_true(live.status.conditions, "Releasing"):
            sequence = live.status.allocation.sequence
            decided = Release(
                cause=decision.cause, release_time=decision.release_ms, sequence=sequence
            )
            live = await self._write(
                live, claim_status.releasing(live, decided, self._tools.clock.now_ms())
            )
            await self._meter(live)
        return await self._release(live)

    async def _release(self, claim: GpuClaim) -> GpuClaim | None:
        done = await release(claim, self._tools)
        cause = claim.status.release.cause if claim.status.release else ""
        self._tools.events.note(claim, "Released", f"the GPUs were taken back ({cause})")
        return done

    async def _finish(self, claim: GpuClaim) -> GpuClaim | None:
        live = await self._tools.claims.get(claim)
        return None if live is None else await finish(live, self._tools)

    async def _let_go(self, claim: GpuClaim) -> GpuClaim | None:
        """Let a deleted claim go that holds nothing, by a live look."""
        live = await self._tools.claims.get(claim)
        if live is None or is_true(live.status.conditions, "Reserved"):
            return live
        await self._tools.claims.remove_finalizer(live)
        return None

    async def _extend(self, claim: GpuClaim, decision: Extend) -> GpuClaim | None:
        status = claim_status.extended(
            claim, decision.until_ms, decision.until_cause, self._tools.clock.now_ms()
        )
        return await self._write(claim, status)

    async def _give_up(self, claim: GpuClaim, lost: LostRace) -> None:
        """Say that the claim lost a node; its own entries are off again, so the book may decide anew."""
        live = await self._reread(claim)
        if live is None or is_true(live.status.conditions, "Releasing"):
            return
        self._tools.events.note(live, "LostRace", str(lost), warning=True)
        try:
            await self._write(
                live, claim_status.unreserved(live, str(lost), self._tools.clock.now_ms())
            )
        except (Outrun, KubeError) as error:
            structlog.get_logger().warning(
                "unreserve failed", uid=live.metadata.uid, error=str(error)
            )

    async def _say(self, claim: GpuClaim, message: str) -> GpuClaim | None:
        """Put what the claim waits for into its Ready condition, if it isn't there yet."""
        try:
            live = await self._reread(claim)
            if live is None:
                return None
            said = find_condition(live.status.conditions, "Ready")
            coarse = message.split(" for another ", maxsplit=1)[0]
            if said is not None and said.message.startswith(coarse):
                return live
            return await self._write(
                live, claim_status.delayed(live, message, self._tools.clock.now_ms())
            )
        except (Outrun, KubeError):
            return None  # it is only a message; the work itself is tried again

    async def _meter(self, claim: GpuClaim) -> None:
        """Bring lines into the ledger as soon as may be; the hub's meter catches up what fails here."""
        try:
            await self._tools.meter.settle(claim)
        except LedgerUnavailable as error:
            structlog.get_logger().warning("ledger away", uid=claim.metadata.uid, error=str(error))

    async def _reread(self, claim: GpuClaim) -> GpuClaim | None:
        try:
            live = await self._tools.claims.get(claim)
        except KubeError:
            return claim
        self._tell(claim, live)
        return live

    async def _look_again(self, claim: GpuClaim) -> None:
        await self._reread(claim)

    def _tell(self, claim: GpuClaim, result: GpuClaim | None) -> None:
        if result is None:
            self._on_gone(claim)
        else:
            self._on_claim(result)
