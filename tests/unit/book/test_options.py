"""Options of a lease: what is exercised is commitment, what isn't is only told of."""

import pytest

from sublet.api.common import Status, find_condition
from sublet.api.gpulease import GpuLease
from sublet.api.times import format_instant
from sublet.book.contract import commitment_changes, committed_at
from sublet.book.coverage import coverage
from sublet.book.inventory import LeaseInventory
from sublet.book.options import next_lapse_ms, open_options
from sublet.book.plan import plan
from sublet.cli.coverage import look, show_coverage
from sublet.fleet.conditions import Held, lease_status
from sublet.fleet.facts import LeaseFacts
from tests.builders.api import LONG_AGO, NOW, as_claim, as_class, as_lease, claim, lease
from tests.builders.fleet import inventory, nodes, refusal_of, reserve_of, view
from tests.builders.windows import ahead, at


def west(*options: tuple[float, float, bool], **meta) -> GpuLease:
    """Return a lease of 16 GPUs; options of 8 GPUs each: exercise by, start, exercised."""
    listed = [
        {
            "exerciseByTime": format_instant(at(by)),
            "startTime": format_instant(at(start)),
            "gpus": 8,
            "exercised": done,
        }
        for by, start, done in options
    ]
    phases = [{"commitmentId": "all", "startTime": LONG_AGO, "gpus": 16}]
    return as_lease(lease("west", commitment={"phases": phases, "options": listed}), **meta)


def written(each: GpuLease, hour: float) -> GpuLease:
    """Return a lease with the status that is written at an hour."""
    status = lease_status(each, LeaseFacts(), LeaseInventory(each.metadata.uid), Held(), at(hour))
    return each.model_copy(update={"status": status})


def exercised(each: GpuLease) -> GpuLease:
    commitment = each.spec.commitment
    done = tuple(o.model_copy(update={"exercised": True}) for o in commitment.options)
    changed = commitment.model_copy(update={"options": done})
    spec = each.spec.model_copy(update={"commitment": changed})
    return each.model_copy(update={"spec": spec})


def said(each: GpuLease) -> tuple[Status, str]:
    found = find_condition(each.status.conditions, "OptionsOpen")
    assert found is not None
    return found.status, found.reason


def test_what_is_exercised_is_committed_beside_the_phases_from_its_start_on():
    each = west((1, 2, True), (1, 3, False), (1, 4, True))

    assert [committed_at(each, at(h)) for h in (1.9, 2, 3, 4)] == [16, 24, 24, 32]
    assert commitment_changes(each)[1:] == [(at(2), 8), (at(4), 8)]


@pytest.mark.parametrize("done", [True, False])
def test_a_window_is_promised_on_exercised_options_only(done):
    each, asked = west((1, 2, done)), ahead("train", 3, 2, gpus=24)
    made = plan(view([asked], [(each, inventory(each, nodes(each, 2)))]))

    assert reserve_of(made, asked).bookings if done else refusal_of(made, asked)


def test_the_book_looks_again_when_an_exercised_option_begins():
    each, asked = west((1, 2, True)), as_claim(claim("train", gpus=24))

    assert plan(view([asked], [(each, inventory(each, nodes(each, 2)))])).next_due_ms == at(2)


def test_open_ones_lapse_in_order():
    each = west((5, 6, False), (2, 9, False), (1, 3, True))

    assert [o.exercise_by_time for o in open_options(each, NOW)] == [at(2), at(5)]
    assert [next_lapse_ms(each, at(h)) for h in (0, 2, 5)] == [at(2), at(5), None]


def test_a_condition_says_what_is_open_and_when_nothing_is():
    each = west((2, 3, False))

    assert said(written(each, 0)) == (Status.TRUE, "Open")
    assert said(written(each, 2)) == (Status.FALSE, "NoneOpen")
    assert find_condition(written(west(), 0).status.conditions, "OptionsOpen") is None


def test_one_that_was_exercised_in_time_stays_so_and_one_that_was_late_is_told():
    first = written(west((2, 3, False)), 0)

    in_time = written(exercised(first), 1)
    assert said(written(in_time, 9)) == (Status.FALSE, "NoneOpen")
    assert said(written(exercised(first), 2.5)) == (Status.FALSE, "ExercisedLate")


def test_two_of_one_instant_are_seen_as_one_which_the_status_can_be_written_with():
    twice = written(exercised(written(west((1, 3, False), (2, 3, False)), 0)), 0.5)

    assert [e.start_time for e in twice.status.exercised_options] == [at(3)]
    assert said(written(twice, 9)) == (Status.FALSE, "NoneOpen")
    assert said(written(west((1, 3, True), (2, 3, True)), 5)) == (Status.FALSE, "NoneOpen")


def test_of_a_lease_that_is_new_to_the_operator_it_is_taken_to_be_in_time():
    assert said(written(west((2, 3, True)), 5)) == (Status.FALSE, "NoneOpen")


def test_coverage_tells_that_an_option_would_serve_who_waits(capsys):
    each = west((2, 3, False))
    asked = as_claim(claim("train", gpus=24))
    pending = {"reason": "WaitingForCapacity", "message": "m"}
    waits = asked.model_copy(update={"status": asked.status.model_validate({"pending": pending})})

    found = look([each], [waits, as_claim()], NOW, NOW, [as_class()])
    show_coverage(found)

    (option,) = found["options"]
    assert (option["gpus"], option["waitingGpus"]) == (8, 24)
    assert "claims wait for 24 GPUs that it could serve" in capsys.readouterr().out
    assert coverage(view([], [(each, LeaseInventory(each.metadata.uid))]), at(3))[0].committed == 16
