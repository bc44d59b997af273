"""What each tenant holds of each class in time, windows that it was promised included: what its quota and its turn are asked of.

A part of `Holdings`, which writes it from claims; changed by the pass as it gives GPUs and lets claims stay longer. What it
keeps for claims that wait counts apart: nothing that could begin now is refused for it, and it is in nobody's share.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator
from itertools import pairwise

from sublet.api.ids import TenantUID
from sublet.api.times import Millis
from sublet.book.steps import Steps


class TenantHoldings:
    """GPUs by tenant and class, from now on."""

    def __init__(self, now_ms: Millis) -> None:
        self._now_ms = now_ms
        self._counted: dict[tuple[TenantUID, str], list[tuple[Millis, int]]] = defaultdict(list)
        """(tenant, class) -> changes of its GPUs"""
        self._steps: dict[tuple[TenantUID, str], Steps] = {}
        """(tenant, class) -> GPUs in time, made when first asked for"""
        self._rising: set[tuple[TenantUID, str]] = set()
        """(tenant, class) of which more GPUs are held later than now"""
        self._most: dict[tuple[TenantUID, str], dict[tuple[Millis, Millis], int]] = {}
        """(tenant, class) -> window -> the most of it; until something is added"""
        self._kept: dict[tuple[TenantUID, str], Steps] = {}
        """(tenant, class) -> GPUs of starts that are kept, in time"""
        self._classes: dict[TenantUID, set[str]] = defaultdict(set)

    def note(
        self, tenant: TenantUID, class_name: str, gpus: int, from_ms: Millis, until_ms: Millis
    ) -> None:
        """Add what a claim held when the pass began; before anybody asks."""
        self._counted[tenant, class_name] += [(from_ms, gpus), (until_ms, -gpus)]
        self._mark(tenant, class_name, from_ms)

    def count(
        self, tenant: TenantUID, class_name: str, gpus: int, from_ms: Millis, until_ms: Millis
    ) -> None:
        """Add what the pass gives."""
        self._steps_of(tenant, class_name).add(gpus, from_ms, until_ms)
        self._mark(tenant, class_name, from_ms)

    def keep(
        self, tenant: TenantUID, class_name: str, gpus: int, from_ms: Millis, until_ms: Millis
    ) -> None:
        """Note what a claim will hold whose start is kept."""
        kept = self._kept.setdefault((tenant, class_name), Steps(self._now_ms, ()))
        kept.add(gpus, from_ms, until_ms)

    def classes_of(self, uid: TenantUID) -> Collection[str]:
        """Return the classes that a tenant holds anything of, or was promised."""
        return self._classes.get(uid, ())

    def most(self, uid: TenantUID, class_name: str, from_ms: Millis, until_ms: Millis) -> int:
        """Return the most GPUs of a class that a tenant holds at any instant of a window."""
        steps, key = self._steps_of(uid, class_name), (uid, class_name)
        if key not in self._rising:
            return steps.at(from_ms)  # who waits is asked about often
        known, window = self._most.setdefault(key, {}), (from_ms, until_ms)
        found = known.get(window)
        if found is None:
            found = known[window] = steps.most(from_ms, until_ms)
        return found

    def first_above(
        self, uid: TenantUID, class_name: str, gpus: int, from_ms: Millis, until_ms: Millis
    ) -> Millis:
        """Return the first instant of a window at which a tenant holds more GPUs of a class than these; its end if there is none."""
        return self._steps_of(uid, class_name).first_above(gpus, from_ms, until_ms)

    def most_beside_kept(
        self, uid: TenantUID, class_name: str, from_ms: Millis, until_ms: Millis
    ) -> int:
        """Return the most GPUs as `most` does, those of starts that are kept included."""
        return max(
            self.most(uid, class_name, begin, end) + kept
            for kept, begin, end in self._keeps(uid, class_name, from_ms, until_ms)
        )

    def first_above_beside_kept(
        self, uid: TenantUID, class_name: str, gpus: int, from_ms: Millis, until_ms: Millis
    ) -> Millis:
        """Return the first instant as `first_above` does, those of starts that are kept included."""
        for kept, begin, end in self._keeps(uid, class_name, from_ms, until_ms):
            found = self.first_above(uid, class_name, gpus - kept, begin, end)
            if found < end:
                return found
        return until_ms

    def _keeps(
        self, uid: TenantUID, class_name: str, from_ms: Millis, until_ms: Millis
    ) -> Iterator[tuple[int, Millis, Millis]]:
        """Yield how many GPUs are kept in each part of a window, with its beginning and its end."""
        kept = self._kept.get((uid, class_name))
        if kept is None:
            yield 0, from_ms, until_ms
            return
        inner = (at for at in kept.edges if from_ms < at < until_ms)
        for begin, end in pairwise([from_ms, *inner, until_ms]):
            yield kept.at(begin), begin, end

    def _mark(self, tenant: TenantUID, class_name: str, from_ms: Millis) -> None:
        self._classes[tenant].add(class_name)
        self._most.pop((tenant, class_name), None)
        if from_ms > self._now_ms:
            self._rising.add((tenant, class_name))

    def _steps_of(self, tenant: TenantUID, class_name: str) -> Steps:
        key = (tenant, class_name)
        steps = self._steps.get(key)
        if steps is None:
            steps = self._steps[key] = Steps(self._now_ms, self._counted[key])
        return steps
