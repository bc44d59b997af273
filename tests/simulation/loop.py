"""An event loop whose time is virtual and whose order is drawn from a seed.

When nothing is ready, time jumps to the next timer. What is ready runs in an order that the seed shuffles, so two tasks
that only seem to be ordered are not. Threads and sockets don't exist: what would run in a thread runs at once. Every
callback belongs to an actor (a context variable that tasks inherit), so that an actor can be paused or killed whole.
"""

import asyncio
import heapq
import random
from collections import defaultdict, deque
from collections.abc import Callable
from contextvars import Context, ContextVar
from typing import Any, Final

ACTOR: ContextVar[str] = ContextVar("ACTOR", default="")
"""Whose code runs: an operator's incarnation, or "" for the world."""

_TIDY: Final = 500
"""After so many tasks those that are done are forgotten."""


class Deadlock(RuntimeError):
    """Nothing is ready and nothing is scheduled: the history can't go on."""


class SimLoop(asyncio.BaseEventLoop):
    """The loop of one history."""

    # the base class's own, which the library's types don't tell of
    _ready: deque[asyncio.Handle]
    _scheduled: list[asyncio.TimerHandle]
    _timer_cancelled_count: int

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self._rng = rng
        self._now = 0.0
        self._clock_resolution = 1e-6
        self._held: dict[str, list[asyncio.Handle]] = {}  # paused actor -> its callbacks
        self._tasks: dict[str, list[asyncio.Task[Any]]] = defaultdict(list)
        self.outside = Context()
        """The context of what belongs to nobody: messages on the way, timers of the world."""
        self.surprises: list[str] = []
        """What tasks raised that nobody looked at."""
        self.set_task_factory(self._make_task)
        self.set_exception_handler(self._note)

    def time(self) -> float:
        """Return virtual seconds since the history began."""
        return self._now

    def later(self, seconds: float, callback: Callable[..., Any], *args: Any) -> None:
        """Call back after so long, on nobody's account."""
        self.call_later(seconds, callback, *args, context=self.outside)

    def pause(self, actor: str) -> None:
        """Let nothing of an actor run, as when its machine stops."""
        self._held.setdefault(actor, [])

    def resume(self, actor: str) -> None:
        """Let it run again, with everything that came due meanwhile."""
        self._ready.extend(self._held.pop(actor, []))

    def kill(self, actor: str) -> None:
        """End all tasks of an actor at once; the world must refuse what they still try."""
        self.resume(actor)
        for task in self._tasks.pop(actor, ()):
            task.cancel()

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]  # it needs no thread, so it is done when it returns
        """Run what would run in a thread at once."""
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001  as the thread would hand it over
            done.set_exception(error)
        return done

    def _make_task(self, loop: Any, coro: Any, **options: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=loop, **options)
        actor = ACTOR.get()
        if actor:
            known = self._tasks[actor]
            known.append(task)
            if len(known) % _TIDY == 0:
                self._tasks[actor] = [t for t in known if not t.done()]
        return task

    def _note(self, loop: Any, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if error is not None and not isinstance(error, asyncio.CancelledError):
            self.surprises.append(f"{context.get('message')}: {error!r}")

    def _run_once(self) -> None:
        """Make one turn: jump to the next timer if nothing is ready, then run what is, shuffled."""
        self._drop_cancelled()
        if not self._ready:
            if not self._scheduled:
                raise Deadlock("nothing left to happen")
            self._now = max(self._now, self._scheduled[0].when())
        end = self._now + self._clock_resolution
        while self._scheduled and self._scheduled[0].when() < end:
            self._ready.append(self._pop_timer())
        ready = list(self._ready)
        self._ready.clear()
        if len(ready) > 1:
            self._rng.shuffle(ready)
        for handle in ready:
            if handle._cancelled:
                continue
            if self._held:
                held = self._held.get(handle._context.get(ACTOR, ""))  # type: ignore[attr-defined]  # likewise
                if held is not None:
                    held.append(handle)
                    continue
            handle._run()

    def _pop_timer(self) -> asyncio.TimerHandle:
        timer = heapq.heappop(self._scheduled)
        timer._scheduled = False  # type: ignore[attr-defined]  # asyncio's own mark, which it doesn't list
        return timer

    def _drop_cancelled(self) -> None:
        while self._scheduled and self._scheduled[0]._cancelled:
            self._pop_timer()
        if self._timer_cancelled_count > 200:
            self._scheduled = [t for t in self._scheduled if not t._cancelled]
            heapq.heapify(self._scheduled)
            self._timer_cancelled_count = 0

    def _process_events(self, event_list: Any) -> None:
        raise AssertionError("there are no sockets")

    def _write_to_self(self) -> None:
        """Do nothing: no other thread waits for this loop."""
