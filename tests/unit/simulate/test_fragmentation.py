from sublet.simulate.fleet import Fleet, State, Task
from sublet.simulate.fragmentation import FragmentationGradient, Scarcity, growth
from sublet.simulate.workload import Workload

SMALL, LARGE = Task(1, 1, 1), Task(1, 1, 2)


def chosen(strategy, task, nodes):
    fleet = Fleet(nodes)
    return strategy.choose(task, fleet.fitting(task), fleet)


def test_both_keep_whole_what_large_tasks_need():
    workload, whole, rest = Workload([SMALL, LARGE]), State(8, 8, 2, "T4"), State(8, 8, 1, "T4")

    assert (growth(workload, SMALL, whole), growth(workload, SMALL, rest)) == (1, -1)
    for strategy in (FragmentationGradient, Scarcity):
        assert chosen(strategy(workload), SMALL, [whole, rest]) == rest


def test_both_put_tasks_without_gpus_where_no_free_gpu_is_stranded():
    workload, task = Workload([Task(4, 1, 1)]), Task(4, 1, 0)
    free, full = State(4, 8, 1, "T4"), State(4, 8, 0, "T4")

    for strategy in (FragmentationGradient, Scarcity):
        assert chosen(strategy(workload), task, [free, full]) == full


def test_scarcity_spares_models_that_are_asked_for_by_name():
    workload = Workload([Task(8, 1, 1)] * 10 + [Task(1, 1, 1, frozenset({"T4"}))] * 4)
    t4_with_little_cpu, g2 = State(4, 8, 1, "T4"), State(16, 8, 2, "G2")

    gradient, ours = FragmentationGradient(workload), Scarcity(workload)

    assert chosen(gradient, SMALL, [t4_with_little_cpu, g2]) == t4_with_little_cpu
    assert chosen(ours, SMALL, [t4_with_little_cpu, g2]) == g2


def test_scarcity_takes_the_tightest_of_equals():
    workload = Workload([SMALL])

    assert chosen(
        Scarcity(workload),
        SMALL,
        [State(8, 8, 3, "T4"), State(8, 8, 2, "T4"), State(9, 9, 2, "T4")],
    ) == State(8, 8, 2, "T4")


def test_names_of_models_that_nobody_has_cost_nothing():
    workload = Workload([SMALL, Task(1, 1, 1, frozenset({"H100"}))])

    assert chosen(Scarcity(workload), SMALL, [State(8, 8, 2, "T4")]) == State(8, 8, 2, "T4")
