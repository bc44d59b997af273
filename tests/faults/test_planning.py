"""Which plans are made from what fault-free runs showed, and what is said of plans that came to nothing."""

import pytest

from tests.faults.journal import Journal, target_of
from tests.faults.plan import MUTE, PAIR_ACTION, VIEW_ACTIONS, WRITE_ACTIONS, Place, Plan
from tests.faults.run import Reference
from tests.faults.summary import Summary
from tests.faults.worker import Choice, Learned, Report, plans_of
from tests.faults.workloads import ALL

LOCK, SECRET = Place("west patch nodes *"), Place("hub create secrets train-kubeconfig")
AGAIN = Place(LOCK.key, 2)


def learned(*runs: list[Place], changed: tuple[str, ...] = (), tells: bool = False) -> Learned:
    """Return what fault-free runs with these writes showed."""
    each = len(runs)
    return Learned(Reference(places=list(runs)), changed=[{*changed}] * each, tells=[tells] * each)


def report(line: str, *, hit: bool = True, dropped: tuple[Place, ...] = ()) -> Report:
    """Return what came of a plan, or of a fault-free run."""
    place = LOCK if line else None
    return Report("bind-one", line, place, (), hit, 1.0, 0.0, dropped=dropped)


def actions_at(plans: list[Plan], place: Place) -> set[str]:
    return {p.action for p in plans if p.place == place}


@pytest.mark.parametrize("workload", sorted(ALL))
def test_every_write_of_every_workload_meets_every_fault(workload: str):
    plans = plans_of(workload, learned([LOCK, SECRET]))
    more = {"partition"} if workload == "upgrade" else {"partition", "overtaken"}
    assert actions_at(plans, SECRET) == {*WRITE_ACTIONS, *more}


def test_old_views_of_what_only_counts_are_tried_in_some_workloads():
    changed = ("hub gpuclaims", "hub gpuleases")
    tried = {n: {p.place for p in plans_of(n, learned([LOCK], changed=changed)) if p.action == "stale"} for n in ALL}  # fmt: skip

    assert {n for n, places in tried.items() if Place("hub gpuclaims") in places} == ALL.keys()
    assert (
        "bind-one"
        in {n for n, places in tried.items() if Place("hub gpuleases") in places}
        < ALL.keys()
    )


def test_an_old_view_is_tried_of_what_changed_in_every_run():
    found = learned([LOCK], [LOCK])
    found.changed = [{"west nodes", "east nodes"}, {"west nodes"}]
    plans = plans_of("bind-one", found)

    assert actions_at(plans, Place("west nodes")) == {*VIEW_ACTIONS}
    assert actions_at(plans, Place("east nodes")) == set()


def test_an_old_view_that_the_end_depends_on_is_left_out():
    plans = plans_of("price-change", learned([LOCK], changed=("hub gpuclasses", "west nodes")))
    assert {p.place for p in plans if p.action == "stale"} == {Place("west nodes")}


def test_unobserved_changes_are_tried_where_a_workload_makes_them_at_once():
    with_pairs = {
        n for n in ALL if any(p.action == PAIR_ACTION for p in plans_of(n, learned([LOCK])))
    }
    assert with_pairs == {
        "node-again",
        "gpus-8-7-8-at-once",
        "cordon-and-back",
        "claim-come-and-gone",
    }


def test_what_is_only_told_is_refused_where_every_run_tells_something():
    assert Plan("bind-one", MUTE) in plans_of("bind-one", learned([LOCK], tells=True))
    assert Plan("bind-one", MUTE) not in plans_of("bind-one", learned([LOCK], tells=False))


@pytest.mark.parametrize(
    ("path", "is_news"),
    [
        ("/api/v1/namespaces/acme/events", True),
        # unanswered it is no lost word: a cluster whose rights aren't known isn't sold
        ("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", False),
    ],
)
def test_a_question_is_neither_a_write_nor_only_told(path: str, *, is_news: bool):
    entry = Journal().note("west", target_of("POST", path, "application/json", {}), {}, 1, b"")

    assert (entry.is_write, entry.is_news) == (False, is_news)


def test_a_part_and_some_actions_of_all_plans_can_be_chosen():
    plans = plans_of("bind-one", learned([LOCK, SECRET]))
    assert [p.place for p in Choice("2/2", ("409",)).of(plans)] == [SECRET]


def test_a_write_that_not_every_run_has_is_left_out_and_said():
    found = learned([LOCK, AGAIN], [LOCK])
    assert found.places == [LOCK]
    assert found.dropped == [AGAIN]

    summary = Summary()
    summary.take(report("", dropped=tuple(found.dropped)))
    assert summary.body(0.0, 0)["writesDropped"] == {"bind-one": ["west patch nodes * 2"]}
    assert "1 writes left out" in summary.words()


@pytest.mark.parametrize("action", ["409", "stale", "unobserved", "stalled", MUTE])
def test_a_plan_whose_fault_never_happened_covers_nothing_and_is_told(action: str):
    summary, line = Summary(), Plan("bind-one", action, LOCK).line
    summary.take(report(line, hit=False))

    assert summary.unreached == [line]
    assert summary.body(0.0, 0)["writesCovered"] == summary.body(0.0, 0)["viewsCovered"] == 0
