"""Tells claims what the book says of them and the binder has nothing to do for: refusals, shortages, notices.

Apart from planning, so that nobody's decision waits for another's word. Each write is a compare-and-set onto the version of
the claim that the word was decided on, one at a time for each claim, and only on change. What the hub doesn't take is told
again later and later; what can't be told, as the claim changed, the book must decide anew. Read by tenants.
"""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import Final, TypeGuard

from sublet.api import bound_status, claim_status
from sublet.api.event_reasons import EventReason
from sublet.api.gpuclaim import ClaimStatus, GpuClaim
from sublet.api.ids import ClaimUID
from sublet.api.pending import Pending, coarse
from sublet.api.reading import goes_on
from sublet.api.times import Millis
from sublet.binder.claims import ClaimWriter, Outrun
from sublet.binder.ports import Events
from sublet.book.coarse import Detail, coarsened
from sublet.book.decisions import Dearer, Degrade, Fail, Notice, Refuse, Silence, Warn
from sublet.book.silence import UNREACHABLE
from sublet.clock import Clock
from sublet.hub.state import HubState
from sublet.hub.unread import caught_up, is_caught_up
from sublet.kube.errors import KubeError, TooManyRequests, Unreachable
from sublet.kube.waiting import is_set_within
from sublet.logs import log_about

Saying = Refuse | Warn | Notice | Degrade | Silence | Fail | Dearer
_WRITES_AT_ONCE: Final = 8
_SLOW_WRITES_AT_ONCE: Final = 16
"""In namespaces where the last word wasn't taken, one in each: a webhook may keep it for half a minute."""
_LONGEST_WAIT_SECONDS: Final = 60.0
_AWAY_WAIT_SECONDS: Final = 5.0
"""For a hub that doesn't answer: that is nothing about the claim."""
_MOST_DOUBLINGS: Final = 10


def wait_seconds(error: Exception, failures: int) -> float:
    """Return how long a word waits that wasn't taken so many times in a row, last for this error."""
    longest = _AWAY_WAIT_SECONDS if isinstance(error, Unreachable) else _LONGEST_WAIT_SECONDS
    wait = min(longest, 2.0 ** min(failures - 1, _MOST_DOUBLINGS))
    return max(wait, error.retry_after_seconds) if isinstance(error, TooManyRequests) else wait


@dataclass(frozen=True, slots=True)
class _Word:
    """What a claim is to be told."""

    claim: GpuClaim
    """As it was decided on."""
    status: ClaimStatus
    saying: Saying | None = None
    """None: that its spec was seen."""
    is_books: bool = False
    """The book says it once; whoever says any other word says it in each pass until it is there."""


class ClaimTeller:
    """Writes statuses of claims that nothing else is under way for."""

    def __init__(
        self,
        state: HubState,
        claims: ClaimWriter,
        events: Events,
        clock: Clock,
        detail: Detail = Detail.FULL,
        *,
        is_busy: Callable[[ClaimUID], bool] = lambda _: False,
    ) -> None:
        """`is_busy`: whether other work is under way for a claim, which a word must not outrun."""
        self._state = state
        self._claims = claims
        self._events = events
        self._clock = clock
        self._detail = detail
        self._is_busy = is_busy
        self._slots = asyncio.Semaphore(_WRITES_AT_ONCE)
        self._slow_slots = asyncio.Semaphore(_SLOW_WRITES_AT_ONCE)
        self._words: dict[ClaimUID, _Word] = {}
        """The newest word for each claim that may not have it yet."""
        self._tasks: dict[ClaimUID, asyncio.Task[None]] = {}
        self._refusing: dict[str, asyncio.Semaphore] = {}
        """Namespace in which the last word wasn't taken -> its words' turn, so that none waits behind another's words."""
        self._has_missed = False
        self._closed = asyncio.Event()

    def missed(self) -> bool:
        """Say, once, whether the book must decide anew: a claim changed, or other work on it began, before it was told.

        Also where that work is over again: the word's turn came meanwhile, so that nothing brings it any more.
        """
        spoken = {word.claim.metadata.namespace for word in self._words.values()}
        self._refusing = {name: turn for name, turn in self._refusing.items() if name in spoken}
        for uid, word in list(self._words.items()):
            if self._current(uid) is None or uid not in self._tasks:
                del self._words[uid]
                self._has_missed |= word.is_books and self._state.claims.get(uid) is not None
        has_missed, self._has_missed = self._has_missed, False
        return has_missed

    def let_go(self) -> None:
        """Tell nothing more of what was said so far."""
        self._words.clear()

    def tell(self, sayings: Iterable[tuple[GpuClaim, Saying]], *, is_all: bool) -> None:
        """Begin to tell what the book decided; `is_all`: it was asked about all claims, so nothing else is to be told.

        Whoever says any other word says it again after this, as long as it is true.
        """
        books = {uid: word for uid, word in self._words.items() if word.is_books}
        self._words = {} if is_all else books
        for claim, saying in sayings:
            self._say(claim, saying, is_books=True)

    def mention(self, sayings: Iterable[tuple[GpuClaim, Saying]]) -> None:
        """Begin to tell what isn't of the book, where that has nothing to say."""
        for claim, saying in sayings:
            self._say(claim, saying, is_books=False)

    def acknowledge(self, claims: Iterable[GpuClaim]) -> None:
        """Begin to write that the status describes the spec as it is now, where a change of spec called for nothing.

        A spec that can't be read is never the one that it describes: that is told instead.
        """
        for claim in claims:
            if claim.metadata.fault:
                self._events.note(claim, EventReason.SPEC_UNREAD, goes_on(claim.metadata.fault))
            if not is_caught_up(claim):
                self._take(_Word(claim, caught_up(claim)))

    async def close(self, patience_seconds: float) -> None:
        """Begin nothing more, and let what is under way end."""
        self._words.clear()
        self._closed.set()
        if tasks := list(self._tasks.values()):
            _, late = await asyncio.wait(tasks, timeout=patience_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _say(self, claim: GpuClaim, saying: Saying, *, is_books: bool) -> None:
        if isinstance(saying, Refuse) and self._detail is Detail.COARSE:
            saying = coarsened(claim, saying)
        status = _status(claim, saying, self._clock.now_ms())
        self._take(_Word(claim, status, saying, is_books))

    def _take(self, word: _Word) -> None:
        """Tell a word in the place of what was to be told before; the book's goes before any other."""
        uid = ClaimUID(word.claim.metadata.uid)
        before = self._words.get(uid)
        if before is not None and before.is_books and not word.is_books:
            return
        if word.status == word.claim.status:
            self._words.pop(uid, None)
            return
        self._words[uid] = word
        if uid not in self._tasks:
            self._tasks[uid] = asyncio.create_task(self._bring(uid), name=f"word {uid}")

    def _current(self, uid: ClaimUID) -> _Word | None:
        """Return the newest word for a claim, if it can be told."""
        word = self._words.get(uid)
        if word is None or self._state.claims.get(uid) is not word.claim or self._is_busy(uid):
            return None
        return word

    async def _bring(self, uid: ClaimUID) -> None:
        """Tell a claim its newest word until that is told, or can't be any more."""
        failures, logged = 0, ""
        try:
            while (word := self._current(uid)) is not None:
                namespace = word.claim.metadata.namespace
                turn = self._refusing.get(namespace)
                async with turn or nullcontext():
                    if turn is not self._refusing.get(namespace):
                        continue
                    async with self._slots if turn is None else self._slow_slots:
                        word = self._current(uid)
                        if word is None or turn is not self._refusing.get(namespace):
                            continue
                        error = await self._write(word)
                if error is None:
                    self._refusing.pop(namespace, None)
                    self._note_told(uid, word)
                    return
                if isinstance(error, Outrun) and self._current(uid) is not word:
                    continue
                if not isinstance(error, Outrun | TooManyRequests):
                    # also a hub that is away: as such one looks whose webhook takes longer than a request may
                    self._refusing.setdefault(namespace, asyncio.Semaphore())
                if str(error) != logged:
                    logged = str(error)
                    log_about(claim=word.claim).warning("claim not told", error=logged)
                failures += 1
                await is_set_within(self._closed, wait_seconds(error, failures))
        finally:
            del self._tasks[uid]

    async def _write(self, word: _Word) -> Exception | None:
        """Write a claim's status; return what kept it from being written."""
        try:
            self._state.claims.put(await self._claims.write_status(word.claim, word.status))
        except Outrun as error:
            await self._read_anew(word.claim)
            return error
        except KubeError as error:
            return error
        except Exception as error:  # noqa: BLE001  whatever somebody wrote into its status: no other claim waits for it
            log_about(claim=word.claim).exception("claim not told")
            return error
        return None

    async def _read_anew(self, claim: GpuClaim) -> None:
        """Read what outran a write: if its watch lost that, no pass would ever see the newer claim."""
        with suppress(KubeError):  # it is tried again
            if (live := await self._claims.get(claim)) is not None:
                self._state.claims.put(live)
            else:
                self._state.doubted.set()

    def _note_told(self, uid: ClaimUID, word: _Word) -> None:
        """Take note that a word was written; another one that came meanwhile is of the claim as it was before."""
        newest = self._words.pop(uid, None)
        if newest is None or newest.saying != word.saying:
            self._has_missed |= (newest or word).is_books
        if word.saying is not None and _is_news(word.saying):
            # after the condition, which is what makes sure that it is said only once
            reason, message = word.saying.reason, word.saying.message
            self._events.note(word.claim, EventReason(reason), message)


def _is_news(saying: Saying) -> TypeGuard[Notice | Degrade | Silence | Dearer]:
    """Say whether a claim gets an Event too: of a cluster that is silent only once that lasts."""
    if isinstance(saying, Silence) and saying.reason == UNREACHABLE:
        return False
    return isinstance(saying, Notice | Degrade | Silence | Dearer) and bool(saying.message)


def _status(claim: GpuClaim, saying: Saying, now_ms: Millis) -> ClaimStatus:
    if isinstance(saying, Warn):
        return claim_status.late(claim, saying.message, now_ms)
    if isinstance(saying, Fail):
        return claim.status.model_copy(update={"downtimes": saying.downtimes})
    if not isinstance(saying, Refuse):
        return _bound_status(claim, saying, now_ms)
    pending = Pending(
        reason=saying.reason,
        message=saying.message[:1024],
        position=coarse(saying.position) if saying.position else None,
        estimated_start_time=saying.estimated_ms,
    )
    return claim_status.waiting(claim, pending, now_ms, saying.offers)


def _bound_status(
    claim: GpuClaim, saying: Notice | Degrade | Silence | Dearer, now_ms: Millis
) -> ClaimStatus:
    if isinstance(saying, Silence):
        return bound_status.reached(claim, saying.reason, saying.message, saying.outages, now_ms)
    if isinstance(saying, Degrade):
        return bound_status.degraded(claim, saying.reason, saying.message, now_ms)
    if isinstance(saying, Dearer):
        return bound_status.priced(claim, saying.reason, saying.message, now_ms)
    return bound_status.expiring(claim, saying.reason, saying.message, now_ms)
