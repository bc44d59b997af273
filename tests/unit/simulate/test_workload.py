from hypothesis import given, settings, strategies as st

from sublet.simulate.fleet import State, Task, fits
from sublet.simulate.workload import Workload

MODELS = ("T4", "G2")
tasks = st.builds(
    Task,
    st.integers(0, 9),
    st.integers(0, 9),
    st.integers(0, 3),
    st.frozensets(st.sampled_from(MODELS)),
)
states = st.builds(
    State, st.integers(0, 10), st.integers(0, 10), st.integers(0, 4), st.sampled_from(MODELS)
)


@settings(deadline=None)
@given(st.lists(tasks), st.lists(states))
def test_stranded_counts_free_gpus_once_for_each_task_that_finds_too_little(asked, nodes):
    workload, wanting = Workload(asked), [task for task in asked if task.gpus]

    for node in nodes:
        assert workload.stranded(node) == node.gpus * sum(not fits(t, node) for t in wanting)


def test_many_different_requests_are_rounded_up_and_never_strand_less():
    asked = [Task(cpu, 1, 1) for cpu in range(1, 1_001)]
    workload = Workload(asked)

    for cpu in (0, 1, 10, 555, 1_000):
        exact = 1_000 - cpu
        assert exact <= workload.stranded(State(cpu, 1, 1, "T4")) <= exact + 10


def test_shares_by_name_count_gpus_not_tasks():
    t4 = frozenset({"T4"})

    assert Workload([Task(1, 1, 6), Task(1, 1, 2, t4), Task(1, 1, 0, t4)]).by_name == {t4: 0.25}
