"""The engine: one task per claim at a time, driven by what the claim's status says.

`tend` is told of every claim that may need work and starts nothing twice. Failures are retried here with jittered
back-off for ever; what a claim waits for is said in its conditions. Every write's answer goes to `on_claim`, so that
the next pass sees it before the watch does.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from sublet.api import claim_status
from sublet.api.common import find_condition, is_true
from sublet.api.event_reasons import EventReason
from sublet.api.gpuclaim import ClaimStatus, GpuClaim
from sublet.api.ids import ClaimUID
from sublet.api.times import Millis
from sublet.binder.access import forget_grants
from sublet.binder.blockers import words
from sublet.binder.claims import Outrun
from sublet.binder.ports import (
    ClusterRefuses,
    ClusterSilent,
    Interrupted,
    LostRace,
    Overtaken,
    StillThere,
    Tools,
)
from sublet.binder.strays import clear_strays, may_have_strays
from sublet.binder.waits import WAITS_FOR
from sublet.binder.work import Work, Works
from sublet.book.decisions import CutOver, Extend, Relocate, Reserve, Take
from sublet.clock import in_ms
from sublet.kube.errors import KubeError
from sublet.logs import log_about

_FIRST_WAIT_SECONDS: Final = 0.2
_LONGEST_WAIT_SECONDS: Final = 30.0
_HUB_WRITES_AT_ONCE: Final = 32
_BACK_OFF: Final = -1.0


@dataclass(slots=True)
class _Run:
    """Work under way for one claim."""

    claim: GpuClaim
    """As it was read or written last."""
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    """Set: end with this step, and don't wait for a retry."""
    task: asyncio.Task[None] | None = None
    gave_up: bool = False
    """A move of it was given up: the book would decide the same again at once."""

    async def pause(self, seconds: float) -> None:
        """Wait, but not when asked to stop."""
        with suppress(TimeoutError):
            async with asyncio.timeout(min(seconds, _LONGEST_WAIT_SECONDS)):
                await self.stop.wait()


@dataclass(frozen=True, slots=True)
class _PutOff:
    """Work on a bound claim that must wait."""

    due_at: float
    """Monotonic seconds: a wall clock that is set back would put it off for so much longer."""
    wait_seconds: float


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
        self._works = Works(tools, self._write)
        self._runs: dict[ClaimUID, _Run] = {}  # claim UID -> the one piece of work on it
        self._put_off: dict[ClaimUID, _PutOff] = {}  # claim UID -> when it is tended again
        self._losses: Counter[ClaimUID] = Counter()  # claim UID -> races lost in a row
        self._hub = asyncio.Semaphore(_HUB_WRITES_AT_ONCE)
        self._closed = False

    def is_busy(self, uid: ClaimUID) -> bool:
        """Say whether something is under way for a claim."""
        return uid in self._runs

    @property
    def busy(self) -> frozenset[ClaimUID]:
        """Return the claims that something is under way for."""
        return frozenset(self._runs)

    def reserve(self, claim: GpuClaim, decision: Reserve) -> bool:
        """Start to carry out a reservation, then bind; return whether it was started."""
        return self._start(claim, self._works.reserve(decision))

    def take(self, claim: GpuClaim, decision: Take) -> bool:
        """Start a release; a bind that is under way stops at its step's end first."""
        if (run := self._runs.get(ClaimUID(claim.metadata.uid))) is not None:
            run.stop.set()
            return False
        return self._start(claim, self._works.take(decision))

    def extend(self, claim: GpuClaim, decision: Extend) -> bool:
        """Start to move a claim's end."""
        return self._start(claim, self._works.extend(decision))

    def relocate(self, claim: GpuClaim, decision: Relocate) -> bool:
        """Start to make other nodes ready for a bound claim; return whether it was started."""
        return not self._waits(claim) and self._start(claim, self._works.relocate(decision))

    def cut_over(self, claim: GpuClaim, decision: CutOver) -> bool:
        """Start to put a move's nodes in the place of the old ones; return whether it was started."""
        return not self._waits(claim) and self._start(claim, self._works.cut_over(decision))

    def mend(self, claim: GpuClaim, work: Work) -> bool:
        """Start to put right what of a bound claim isn't as it was left; return whether it was started."""
        # whatever was put off may wait for this, as tokens do whose namespace is gone; the looks keep their own pace
        return self._start(claim, work)

    def tend(self, claim: GpuClaim) -> bool:
        """Start whatever the claim's status asks for, if anything; return whether it was started."""
        if self._waits(claim):
            return False
        work = self._works.asked_for(claim)
        if work is None:
            self._put_off.pop(ClaimUID(claim.metadata.uid), None)
            return False
        return self._start(claim, work)

    def _waits(self, claim: GpuClaim) -> bool:
        """Say whether work on a bound claim was put off to a later instant."""
        put_off = self._put_off.get(ClaimUID(claim.metadata.uid))
        return put_off is not None and self._tools.clock.monotonic() < put_off.due_at

    def is_asked_for(self, claim: GpuClaim) -> bool:
        """Say whether a claim's status asks for work, now or when what was put off is due."""
        # what only a decision or a look asked for, too: the next `tend` after that instant forgets it
        is_put_off = ClaimUID(claim.metadata.uid) in self._put_off
        return is_put_off or self._works.asked_for(claim) is not None

    def forget(self, uid: ClaimUID) -> None:
        """Let go of what is known of a claim that is gone, also where it went without us."""
        self._put_off.pop(uid, None)
        self._losses.pop(uid, None)
        forget_grants(self._tools.grants, uid)

    @property
    def due_ms(self) -> Millis | None:
        """Return when work that was put off is due, None if there is none."""
        due_at = min((each.due_at for each in self._put_off.values()), default=None)
        return in_ms(due_at, self._tools.clock)

    async def close(self, patience_seconds: float) -> None:
        """Take no more work; let every step under way end, then stop."""
        self._closed = True
        runs = list(self._runs.values())
        for run in runs:
            run.stop.set()
        tasks = [run.task for run in runs if run.task is not None]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=patience_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, claim: GpuClaim, work: Work) -> bool:
        uid = ClaimUID(claim.metadata.uid)
        if self._closed or uid in self._runs:
            return False
        run = self._runs[uid] = _Run(claim)
        run.task = asyncio.create_task(self._run(run, work), name=f"claim {uid}")
        return True

    async def _run(self, run: _Run, work: Work) -> None:
        """Work until done, trying again after failures; nothing raised here leaves this task."""
        uid, wait = ClaimUID(run.claim.metadata.uid), _FIRST_WAIT_SECONDS
        run.gave_up = run.claim.status.move is not None and run.claim.status.move.abandoned
        try:
            while (pause := await self._try(run, work)) is not None:
                if _is_put_off(run.claim):
                    self._put_off_for(uid, pause)
                    return
                if pause == _BACK_OFF:
                    wait = pause = self._longer(wait)
                await run.pause(pause)
                if run.stop.is_set() or not await self._reread(run):
                    return
                if (again := self._works.asked_for(run.claim)) is None:
                    return
                work = again
            if run.gave_up and run.claim.status.move is None and _is_put_off(run.claim):
                self._put_off_for(uid, _BACK_OFF)
            else:
                self._put_off.pop(uid, None)
            await self._cool_down(run)
        finally:
            self._runs.pop(uid, None)
            self._on_idle(uid)

    async def _try(self, run: _Run, work: Work) -> float | None:
        """Try once; return how long to wait before the claim is looked at again, None if there is nothing to repeat."""
        log = log_about(claim=run.claim)
        try:
            self._tell(run.claim, await work(run.claim, self._checkpoint(run)))
        except LostRace as lost:
            run.gave_up = True
            return await self._try(run, self._beginning_to_give_back(lost))
        except (Interrupted, Outrun, Overtaken) as reason:
            log.debug("stopped", reason=str(reason))
            return await self._look_again(run, strays=not isinstance(reason, Interrupted))
        except StillThere as reason:
            await self._say(run, reason)
            return reason.wait_seconds
        except WAITS_FOR as reason:
            log.info("waiting", reason=str(reason))
            await self._say(run, reason)
        except KubeError as error:
            log.warning("step failed", error=str(error))
        except Exception:
            log.exception("step failed unexpectedly")
        else:
            return None
        return _BACK_OFF

    def _beginning_to_give_back(self, lost: LostRace) -> Work:
        async def work(claim: GpuClaim, checkpoint: Callable[[], None]) -> GpuClaim:
            return await self._works.begin_give_back(claim, lost)

        return work

    async def _look_again(self, run: _Run, *, strays: bool) -> float | None:
        """Show the book what the claim is now; a bind that was overtaken takes off what it wrote after that.

        One that was asked to stop does so too where another operator has released the claim meanwhile.
        """
        try:
            live = await self._tools.claims.get(run.claim)
            reserved = is_true(run.claim.status.conditions, "Reserved")
            if reserved and (strays or may_have_strays(run.claim, live)):
                await clear_strays(run.claim, self._tools)
                live = await self._tools.claims.get(run.claim)
            self._tell(run.claim, live)
        except (StillThere, ClusterSilent, ClusterRefuses, KubeError) as error:
            log_about(claim=run.claim).warning("looking again later", error=str(error))
            return _BACK_OFF
        return None

    async def _cool_down(self, run: _Run) -> None:
        """Let a claim that loses its node again and again wait a little longer each time."""
        uid, conditions = ClaimUID(run.claim.metadata.uid), run.claim.status.conditions
        if is_true(conditions, "Bound"):
            self._losses.pop(uid, None)
        if not claim_status.lost_race(run.claim):
            return
        self._losses[uid] += 1
        if self._losses[uid] > 1:
            longest = _FIRST_WAIT_SECONDS * 2.0 ** min(self._losses[uid], 10)
            await run.pause(random.uniform(longest / 2, longest))

    def _put_off_for(self, uid: ClaimUID, pause: float) -> None:
        """Look at a bound claim again later; meanwhile it is free for other decisions and for its tokens' renewal."""
        before = self._put_off.get(uid)
        wait = self._longer(before.wait_seconds if before is not None else _FIRST_WAIT_SECONDS)
        seconds = wait if pause == _BACK_OFF else min(pause, _LONGEST_WAIT_SECONDS)
        self._put_off[uid] = _PutOff(self._tools.clock.monotonic() + seconds, wait)

    def _longer(self, wait: float) -> float:
        return min(_LONGEST_WAIT_SECONDS, random.uniform(_FIRST_WAIT_SECONDS, wait * 3))

    def _checkpoint(self, run: _Run) -> Callable[[], None]:
        def check() -> None:
            if run.stop.is_set():
                raise Interrupted("asked to stop")

        return check

    async def _write(self, claim: GpuClaim, status: ClaimStatus) -> GpuClaim:
        async with self._hub:
            written = await self._tools.claims.write_status(claim, status)
        if (run := self._runs.get(ClaimUID(claim.metadata.uid))) is not None:
            run.claim = written
        self._on_claim(written)
        return written

    async def _say(self, run: _Run, reason: Exception) -> None:
        """Put what the claim waits for into its conditions, if it isn't there yet; a bound claim stays Ready."""
        message = words(run.claim, reason, self._tools)
        try:
            live = await self._tools.claims.get(run.claim)
            if live is None or not is_true(live.status.conditions, "Reserved"):
                return
            said = find_condition(live.status.conditions, "Ready")
            coarse = message.split(" for another ", maxsplit=1)[0]
            if is_true(live.status.conditions, "Bound") or (
                said is not None and said.message.startswith(coarse)
            ):
                return
            now = self._tools.clock.now_ms()
            await self._write(live, claim_status.delayed(live, message, now))
            if message != str(reason):  # it hangs: somebody should know who doesn't look at it
                self._tools.events.note(live, EventReason.RELEASE_OVERDUE, message)
        except (Outrun, KubeError) as error:  # it is only a message; the work itself is tried again
            log_about(claim=run.claim).debug("not said", error=str(error))

    async def _reread(self, run: _Run) -> bool:
        """Read the claim live; return whether it is still there. A hub that doesn't answer leaves it as it was."""
        try:
            live = await self._tools.claims.get(run.claim)
        except KubeError:
            return True
        self._tell(run.claim, live)
        run.claim = live or run.claim
        return live is not None

    def _tell(self, claim: GpuClaim, result: GpuClaim | None) -> None:
        if result is None:
            self.forget(ClaimUID(claim.metadata.uid))
            self._on_gone(claim)
        else:
            if (run := self._runs.get(ClaimUID(claim.metadata.uid))) is not None:
                run.claim = result
            self._on_claim(result)


def _is_put_off(claim: GpuClaim) -> bool:
    """Say whether what must wait is put off: a claim that is bound and stays so isn't kept busy by it."""
    conditions = claim.status.conditions
    return is_true(conditions, "Bound") and not is_true(conditions, "Releasing")
