"""However often a hub is put back, and whatever it tells then, each claim's lines stay a history that can be read."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st
from sqlalchemy import Connection

from sublet.api import claim_status
from sublet.api.downtime import Downtime, DowntimeCause
from sublet.api.gpuclaim import ClaimStatus, GpuClaim, Release
from sublet.api.ids import ClaimUID
from sublet.api.outage import Outage
from sublet.api.relocation import ReleaseCause
from sublet.api.times import Millis
from sublet.hub.meter import facts_of
from sublet.ledger.entry import EntryKind, EntryType, Fact
from sublet.ledger.interval import Interval, intervals
from sublet.ledger.port import LedgerConflict
from sublet.store.appending import Order, append_all
from sublet.store.database import open_engine
from sublet.store.sql import SqlLedger, stored
from sublet.store.tables import metadata
from tests.builders.api import NOW, with_status
from tests.builders.lines import TEXTS, fact
from tests.builders.worlds import bound_claim

TRAIN = bound_claim()
WEST = TRAIN.status.allocation.placements[0].lease_uid
Tell = Callable[[list[Fact]], int]


@contextmanager
def telling() -> Iterator[tuple[Tell, Callable[[], list[Interval]]]]:
    """Yield what appends facts to an empty ledger in memory, and what reads the intervals of all that is written."""
    engine = open_engine("sqlite://")
    with engine.connect() as connection:
        metadata.create_all(connection)
        yield lambda facts: _told(connection, facts), lambda: _read(connection)
    engine.dispose()


def _told(connection: Connection, facts: list[Fact]) -> int:
    (count,) = append_all(connection, [Order(facts, {}, [])])
    return count


def _read(connection: Connection) -> list[Interval]:
    return list(intervals([line.entry.fact for line in stored(connection)]))


class Hub:
    """A hub that has one claim, and all states in which it was."""

    def __init__(self) -> None:
        self.claim, self.now = TRAIN, Millis(NOW)
        self.states = [TRAIN]

    def is_put_back(self, steps: int) -> None:
        self.claim = self.states[max(0, len(self.states) - 1 - steps)]

    def does(self, what: str, number: int) -> None:
        """Do something a millisecond later; what can't be now is left."""
        self.now = Millis(self.now + 1)
        if what == "end" and self._is_over:
            self.claim = self._with(claim_status.released(self.claim, Millis(self.now - number)))
        elif what == "end":
            self.claim = self._ended(Millis(max(NOW, self.now - number)))
        elif not self._is_over and what == "silence":
            self._silence(number)
        elif not self._is_over:
            self._downtime(1 + number)
        self.states.append(self.claim)

    @property
    def _is_over(self) -> bool:
        return self.claim.status.release is not None

    def _with(self, status: ClaimStatus) -> GpuClaim:
        return self.claim.model_copy(update={"status": status})

    def _ended(self, at_ms: Millis) -> GpuClaim:
        release = Release(cause=ReleaseCause.DELETED, release_time=at_ms, sequence=1)
        return self._with(claim_status.releasing(self.claim, release, self.now))

    def _silence(self, earlier: int) -> None:
        """Begin one, that is said a little after it began, or end the one that lasts."""
        *before, last = self.claim.status.outages or (None,)
        if last is not None and last.until_time is None:
            found = [*before, last.model_copy(update={"until_time": self.now})]
        else:
            since = NOW if last is None or last.until_time is None else last.until_time + 1
            begun = max(since, self.now - earlier)
            new = Outage(sequence=1, lease_uid=WEST, gpus=8, from_time=Millis(begun))
            found = [*self.claim.status.outages, new]
        self.claim = with_status(self.claim, outages=tuple(found))

    def _downtime(self, gpus: int) -> None:
        """Begin one, end the one that lasts, or let one of other GPUs take its place."""
        *before, last = self.claim.status.downtimes or (None,)
        found = list(self.claim.status.downtimes)
        if last is not None and last.until_time is None:
            found = [*before, last.model_copy(update={"until_time": self.now})]
        if last is None or last.until_time is not None or gpus % 2:
            cause = DowntimeCause.GPUS_MISSING
            new = Downtime(sequence=1, lease_uid=WEST, gpus=gpus, cause=cause, from_time=self.now)
            found.append(new)
        self.claim = with_status(self.claim, downtimes=tuple(found))


deeds = st.tuples(st.sampled_from(("silence", "downtime", "end")), st.integers(0, 3))
lives = st.tuples(st.integers(0, 9), st.lists(st.tuples(deeds, st.booleans()), max_size=4))
"""What a hub does after it was put back by so many steps, each with whether the ledger is told."""


@settings(max_examples=100, deadline=None)
@given(st.lists(lives, max_size=4))
def test_whatever_a_hub_that_was_put_back_tells_of_a_claim_all_of_it_ends_and_no_kind_overlaps(
    history: list[tuple[int, list[tuple[tuple[str, int], bool]]]],
):
    hub, at_last = Hub(), (0, [(("end", 0), True)] * 2)
    with telling() as (tell, read):
        for steps, done in [*history, at_last]:
            hub.is_put_back(steps)
            for (what, number), is_told in done:
                hub.does(what, number)
                if is_told:
                    tell(facts_of(hub.claim))
                    read()
        assert tell(facts_of(hub.claim)) == 0
        found = read()

    assert [x for x in found if x.end_ms is None] == []
    assert len([x for x in found if x.kind is EntryKind.BOUND]) == 1
    for kind in (EntryKind.RELEASING, EntryKind.DISPUTED, EntryKind.DOWNTIME):
        assert do_not_overlap(x for x in found if x.kind is kind)


def do_not_overlap(found: Iterable[Interval]) -> bool:
    spans = sorted((x.start_ms, x.end_ms or x.start_ms) for x in found)
    return all(before[1] <= after[0] for before, after in pairwise(spans))


hours = st.tuples(st.integers(0, 12), st.integers(1, 4)).map(lambda x: range(x[0], x[0] + x[1]))
shortenings = st.lists(st.one_of(hours, st.integers(0, 9)), max_size=8)
"""Hours that a tenant gives up; a number: the hub is put back to what it had after so many of them."""


@settings(max_examples=80, deadline=None)
@given(shortenings)
def test_whatever_was_given_up_before_and_after_restores_each_hour_is_charged_once(
    history: list[range | int],
):
    backups: list[tuple[range, ...]] = [()]
    with telling() as (tell, read):
        for each in history:
            if isinstance(each, int):
                backups.append(backups[each % len(backups)])
                continue
            taken = {hour for part in backups[-1] for hour in part}
            backups.append((*backups[-1], *runs(sorted({*each} - taken))))
            tell(given_up(backups[-1]))
            assert tell(given_up(backups[-1])) == 0
        found = read()

    charged = [hour for x in found for hour in range(x.start_ms, x.end_ms or x.start_ms)]
    assert sorted(charged) == sorted({h for parts in backups for part in parts for h in part})
    assert all(x.end_ms is not None for x in found)


def runs(found: list[int]) -> list[range]:
    """Return sorted hours as spans."""
    edges = [i for i, hour in enumerate(found) if i == 0 or found[i - 1] != hour - 1]
    return [range(found[a], found[b - 1] + 1) for a, b in pairwise([*edges, len(found)])]


def given_up(parts: Iterable[range]) -> list[Fact]:
    pairs = ((EntryType.OPEN, p.start) for p in parts), ((EntryType.CLOSE, p.stop) for p in parts)
    return [
        replace(fact("a", at, type_=type_), kind=EntryKind.CANCELLED)
        for pair in zip(*pairs, strict=True)
        for type_, at in pair
    ]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (fact("a", 9), "opens bound twice"),
        (fact("a", 9, gpus=4, type_=EntryType.CLOSE), "closes bound unlike it was opened"),
        (fact("a", 2, type_=EntryType.CLOSE), "closes bound unlike it was opened"),
        (fact("new", 9, type_=EntryType.CLOSE), "closes bound that isn't open"),
        (replace(fact("a", 9), type=EntryType.SET), "bound set can't be"),
    ],
)
async def test_a_line_with_which_nobody_could_read_the_ledger_is_refused_and_all_others_are_written(
    tmp_path: Path, line: Fact, words: str
):
    ledger = SqlLedger(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    await ledger.append([fact("a")], TEXTS)
    others = (fact("b"), fact("c"))
    done = await asyncio.gather(
        *(ledger.append([each], {}) for each in (others[0], line, others[1])),
        return_exceptions=True,
    )
    proof, facts = await ledger.verify(), await ledger.facts()
    await ledger.close()

    assert isinstance(done[1], LedgerConflict)
    assert words in str(done[1])
    assert (done[0], done[2], proof.fault) == (1, 1, None)
    assert [f.claim_uid for f in facts] == [ClaimUID(x) for x in "abc"]
