"""What a person's word lets a protocol leave undone, and what it never does: free what nobody has seen free."""

import asyncio
import contextlib
from types import SimpleNamespace
from typing import Any

import pytest

from sublet.api import claim_status
from sublet.api.common import Condition, is_true
from sublet.api.gpuclaim import GpuClaim, Release
from sublet.api.kinds import RELEASE_FINALIZER
from sublet.api.last_word import ForceRelease, Leftover
from sublet.api.relocation import ReleaseCause
from sublet.binder import release as releases
from sublet.binder.bind import bind
from sublet.binder.blockers import words
from sublet.binder.forced import is_forced, release_by_all_means
from sublet.binder.ports import ClusterSilent, LostRace, StillThere
from sublet.binder.work import Works
from sublet.hub.aftermath import left_there
from tests.builders.api import NOW, uid_of
from tests.builders.clusters import Hub, NotedApi, tools_of
from tests.builders.last_words import LEASE_UID, WEST, lost, tools
from tests.builders.moves import leased, running


class Freeing(Hub):
    """A hub whose claims can be let go."""

    def __init__(self, live: GpuClaim) -> None:
        super().__init__(live)
        self.freed = 0

    async def remove_finalizer(self, _: GpuClaim) -> None:
        self.freed += 1


def going(
    cause: ReleaseCause = ReleaseCause.DELETED, *, word: str | None = "own", deleted: bool = True
) -> GpuClaim:
    """Return a claim whose release is under way, and for which a word was given."""
    each = running(WEST)
    uid = each.metadata.uid if word == "own" else uid_of("another")
    spec = {"force_release": ForceRelease(claim_uid=uid, by="ann") if word else None}
    meta = {"deletion_timestamp": NOW if deleted else None, "finalizers": (RELEASE_FINALIZER,)}
    each = each.model_copy(
        update={
            "spec": each.spec.model_copy(update=spec),
            "metadata": each.metadata.model_copy(update=meta),
        }
    )
    decided = Release(cause=cause, release_time=NOW, sequence=1)
    return each.model_copy(update={"status": claim_status.releasing(each, decided, NOW)})


def test_a_release_that_waits_for_a_silent_cluster_is_ended_and_listed_before_the_claim_goes():
    each = going()
    hub = Freeing(each)
    with_ = tools(hub)

    assert asyncio.run(release_by_all_means(each, with_)) is None
    (left,) = with_.lists.left
    assert (left.claim_uid, left.homes, left.gpus, left.by) == (each.metadata.uid, (1,), 8, "ann")
    assert left.since_time == NOW
    assert hub.freed == 1


@pytest.mark.parametrize(
    "each",
    [
        going(word=None),
        going(word="another"),
        going(ReleaseCause.SUSPENDED, deleted=False),
    ],
    ids=["no word", "of another claim", "it will bind again"],
)
def test_without_a_word_that_counts_it_waits(each: GpuClaim):
    hub = Freeing(each)
    with_ = tools(hub)

    with pytest.raises(ClusterSilent):
        asyncio.run(release_by_all_means(each, with_))
    assert (with_.lists.left, hub.freed) == ([], 0)
    assert not is_forced(each)


def test_a_word_that_does_not_count_leaves_no_tenant_its_access_elsewhere():
    east = leased("east")
    each = going(ReleaseCause.SUSPENDED, deleted=False)
    there = running(east).status.allocation.placements
    both = (*each.status.allocation.placements, *there)
    allocation = each.status.allocation.model_copy(update={"placements": both})
    status = each.status.model_copy(update={"allocation": allocation})
    each = each.model_copy(update={"status": status})
    east_uid, api = east[0].metadata.uid, NotedApi(each.metadata.uid)
    with_ = tools_of(Hub(each), {LEASE_UID: WEST[0], east_uid: east[0]}, {east_uid: api})

    with pytest.raises(ClusterSilent, match="west"):
        asyncio.run(release_by_all_means(each, with_))
    assert any("/rolebindings/" in path for path in api.sent("DELETE"))


def test_of_an_adopted_claim_the_word_names_the_uid_that_the_hub_shows():
    each = going(word="another")
    meta = each.metadata.model_copy(update={"object_uid": uid_of("another")})

    assert is_forced(each.model_copy(update={"metadata": meta}))
    own = going()
    assert not is_forced(own.model_copy(update={"metadata": meta}))


def test_pods_that_do_not_go_are_no_reason_to_wait_for_ever_either(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(releases, "POD_TRIES", 1)
    monkeypatch.setattr(releases, "POD_WAIT_SECONDS", 0.0)
    each = going()
    hub, api = Freeing(each), NotedApi(each.metadata.uid, pods=1)
    with_ = tools(hub, api)

    asyncio.run(release_by_all_means(each, with_))
    assert len(with_.lists.left) == 1
    assert not any("/nodes/" in path for path in api.sent("PATCH"))  # its entry in the book stands


class Senseless(NotedApi):
    """A cluster whose objects are JSON, and nothing that an API server would say."""

    async def get(self, path: str, **_: str) -> dict[str, Any]:
        return {}


def test_a_cluster_that_answers_nonsense_is_no_reason_to_wait_for_ever_either():
    each = going()
    hub = Freeing(each)
    with_ = tools(hub, Senseless(each.metadata.uid))

    asyncio.run(release_by_all_means(each, with_))
    assert (len(with_.lists.left), hub.freed) == (1, 1)


def test_a_release_that_can_be_done_is_done_whatever_was_said():
    each = going()
    hub, api = Freeing(each), NotedApi(each.metadata.uid)
    with_ = tools(hub, api)

    asyncio.run(release_by_all_means(each, with_))
    assert with_.lists.left == []
    assert any("/namespaces/sublet-" in path for path in api.sent("DELETE"))


def test_nobody_waits_for_a_lost_cluster():
    each = going(ReleaseCause.LEASE_LOST, word=None, deleted=False)
    with_ = tools(Freeing(each), lease=lost())

    done = asyncio.run(release_by_all_means(each, with_))
    assert done is not None
    assert is_true(done.status.conditions, "Ended")


def test_nothing_is_bound_on_a_lost_lease():
    each = running(WEST)

    with pytest.raises(LostRace, match="west is lost"):
        asyncio.run(bind(each, tools(Hub(each), lease=lost()), lambda: None))


def test_what_hangs_says_who_blocks_it_since_when_and_the_way_out():
    each = going(word=None)
    silent = WEST[0].status.model_copy(update={"last_seen_time": NOW})
    away = Condition(
        type="Reachable", status="Unknown", reason="NoAnswer", last_transition_time=NOW
    )
    silent = silent.model_copy(update={"conditions": (away,)})
    lease = WEST[0].model_copy(update={"status": silent})

    said = words(each, ClusterSilent("west"), tools(Hub(each), lease=lease))
    assert "west hasn't been reachable since 2026-11-22T10:00:00Z" in said
    assert "the meter stopped at 2026-11-22T10:00:00Z" in said
    assert "forceRelease" in said


def test_a_word_about_another_claim_is_answered_with_the_uid_to_write():
    each = going(word="another")

    assert each.metadata.uid in words(each, ClusterSilent("west"), tools(Hub(each)))


def test_pods_that_are_only_ending_are_no_matter_for_a_person():
    each = going(word=None)
    with_ = tools(Hub(each))
    with_.clock = SimpleNamespace(now_ms=lambda: NOW)

    assert words(each, StillThere("waiting for 2 pods"), with_) == "waiting for 2 pods"
    with_.clock = SimpleNamespace(now_ms=lambda: NOW + 10**6)
    assert "forceRelease" in words(each, StillThere("waiting for 2 pods"), with_)


def test_a_lost_lease_lists_what_every_claim_there_will_leave_and_lists_none_twice():
    each = running(WEST)
    lease = lost()

    first, more = left_there(lease, lease.status.lost, [each], NOW)
    again = lease.model_copy(
        update={"status": lease.status.model_copy(update={"leftovers": first})}
    )
    assert [(x.claim_uid, x.homes, x.gpus) for x in first] == [(each.metadata.uid, (1,), 8)]
    assert more == 0
    assert left_there(again, lease.status.lost, [each], NOW + 1) == (first, 0)
    ended = each.model_copy(update={"status": claim_status.released(going(), NOW)})
    assert left_there(lease, lease.status.lost, [ended], NOW) == ((), 0)


class Crashing(Hub):
    """A hub and its lists, kept over restarts, that ends the operator before or after its n-th write."""

    def __init__(self, live: GpuClaim) -> None:
        super().__init__(live)
        self.left: list[Leftover] = []
        self.writes: list[str] = []
        self.crash_at: tuple[int, str] | None = None

    def _write(self, what: str, apply: Any) -> None:
        number = len(self.writes) + 1
        if self.crash_at == (number, "before"):
            self.crash_at = None
            raise ConnectionResetError
        apply()
        self.writes.append(what)
        if self.crash_at == (number, "after"):
            self.crash_at = None
            raise ConnectionResetError

    async def write_status(self, claim: GpuClaim, status: Any) -> GpuClaim:
        written = claim.model_copy(update={"status": status})
        self._write("status", lambda: setattr(self, "live", written))
        return written

    async def remove_finalizer(self, _: GpuClaim) -> None:
        self._write("finalizer", lambda: setattr(self, "live", None))

    async def leave(self, _: Any, left: Leftover) -> None:
        if all(x.claim_uid != left.claim_uid for x in self.left):
            self._write("list", lambda: self.left.append(left))


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_restart_between_any_two_writes_of_a_forced_release_ends_the_same(number: int, when: str):
    hub = Crashing(going())
    hub.crash_at = (number, when)

    for _ in range(3):
        with_ = tools(hub)
        with_.lists = hub
        if hub.live is None:
            break
        works = Works(with_, with_.claims.write_status)
        work = works.asked_for(hub.live)
        assert work is not None
        with contextlib.suppress(ConnectionResetError):
            asyncio.run(work(hub.live, lambda: None))
    assert hub.live is None
    assert hub.writes == ["list", "status", "finalizer"]
    assert [x.gpus for x in hub.left] == [8]
