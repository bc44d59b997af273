import pytest
from hypothesis import given, settings, strategies as st

from sublet.simulate.fleet import State, Task
from sublet.simulate.run import StrategyName, arrivals, play, strategy
from sublet.simulate.workload import Workload

MODELS = ("T4", "G2", "P100")
task_lists = st.lists(
    st.builds(
        Task,
        st.integers(0, 9),
        st.integers(0, 9),
        st.integers(0, 4),
        st.frozensets(st.sampled_from(MODELS), max_size=2),
    ),
    min_size=1,
    max_size=30,
).filter(lambda tasks: any(task.gpus for task in tasks))
node_lists = st.lists(
    st.builds(
        State,
        st.integers(1, 20),
        st.integers(1, 20),
        st.integers(1, 8),
        st.sampled_from(MODELS),
    ),
    min_size=1,
    max_size=8,
)


def run(name, nodes, tasks):
    coming = arrivals(tasks, sum(node.gpus for node in nodes))
    return coming, play(nodes, coming, strategy(name, Workload(tasks)))


@pytest.mark.parametrize("name", StrategyName)
@settings(deadline=None, max_examples=50)
@given(nodes=node_lists, tasks=task_lists)
def test_no_node_ever_gives_more_than_it_has_and_no_task_is_refused_that_fits(name, nodes, tasks):
    coming, outcome = run(name, nodes, tasks)

    free = [list(node[:3]) for node in nodes]
    for task, place in zip(coming, outcome.nodes, strict=True):
        able = [
            number
            for number, left in enumerate(free)
            if all(has >= asks for has, asks in zip(left, task[:3], strict=True))
            and (not task.models or nodes[number].model in task.models)
        ]
        assert (place in able) if able else (place is None)
        if place is not None:
            free[place] = [has - asks for has, asks in zip(free[place], task[:3], strict=True)]
    assert outcome.allocated == outcome.gpus - sum(left[2] for left in free)
    assert outcome.allocated_at_capacity <= outcome.allocated
    assert outcome.refused == sum(place is None for place in outcome.nodes)


@pytest.mark.parametrize("name", StrategyName)
@settings(deadline=None, max_examples=20)
@given(nodes=node_lists, tasks=task_lists)
def test_the_same_input_gives_the_same_output(name, nodes, tasks):
    assert run(name, nodes, tasks) == run(name, nodes, tasks)


def test_the_trace_comes_whole_and_in_order_even_beyond_a_full_fleet():
    tasks = [Task(number, 1, 4) for number in range(5)]

    assert arrivals(tasks, gpus=4) == tasks


def test_a_trace_that_asks_for_too_little_is_drawn_from_until_130_percent():
    tasks = [Task(1, 1, 1), Task(2, 1, 0)]

    coming = arrivals(tasks, gpus=100, seed=7)

    assert coming[:2] == tasks
    assert sum(task.gpus for task in coming) == 130
    assert coming == arrivals(tasks, gpus=100, seed=7) != arrivals(tasks, gpus=100, seed=8)


@pytest.mark.parametrize(
    ("gpus", "task", "message"),
    [(0, Task(1, 1, 1), "no node has a GPU"), (8, Task(1, 1, 0), "no task asks for a GPU")],
)
def test_nothing_to_allocate_is_an_error_not_an_endless_draw(gpus, task, message):
    with pytest.raises(ValueError, match=message):
        arrivals([task], gpus)


def test_scarce_models_are_left_for_those_who_name_them():
    nodes = [State(8, 8, 1, "T4"), State(8, 8, 1, "T4"), State(8, 8, 2, "G2")]
    anywhere, named = Task(1, 1, 1), Task(1, 1, 1, frozenset({"T4"}))
    tasks = [anywhere, anywhere, named, named]

    _, first = run(StrategyName.FIRST_FIT, nodes, tasks)
    _, ours = run(StrategyName.SUBLET, nodes, tasks)

    assert (first.allocated_at_capacity, ours.allocated_at_capacity) == (2, 4)
