import pytest

from sublet.simulate.fleet import Fleet, State, Task, after, fits

NODE = State(8_000, 1_024, 2, "T4")


@pytest.mark.parametrize(
    ("task", "does"),
    [
        (Task(8_000, 1_024, 2), True),
        (Task(8_001, 1, 1), False),
        (Task(1, 1_025, 1), False),
        (Task(1, 1, 3), False),
        (Task(1, 1, 1, frozenset({"T4", "A10"})), True),
        (Task(1, 1, 0, frozenset({"A10"})), False),
    ],
)
def test_gpus_cpu_memory_and_model_all_count(task, does):
    assert fits(task, NODE) is does


def test_the_first_node_of_a_state_is_taken_and_its_rest_stays_on_offer():
    fleet, task = Fleet([NODE, NODE]), Task(1_000, 24, 1)

    assert fleet.take(task, NODE) == 0
    rest = after(NODE, task)
    assert rest == State(7_000, 1_000, 1, "T4")
    assert (fleet.count(NODE), fleet.count(rest), fleet.first(rest)) == (1, 1, 0)
    assert fleet.take(task, NODE) == 1
    assert fleet.fitting(task) == [rest]
    assert (fleet.gpus, fleet.free) == (4, {"T4": 2})


def test_a_node_never_gives_more_than_it_has():
    with pytest.raises(ValueError, match="doesn't fit"):
        Fleet([NODE]).take(Task(1, 1, 3), NODE)
