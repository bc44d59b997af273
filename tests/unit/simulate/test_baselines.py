from collections import Counter

from sublet.simulate.baselines import BestFit, FirstFit, RandomFit
from sublet.simulate.fleet import Fleet, State, Task

TASK = Task(1_000, 1, 1)
LARGE, SMALL, TIGHT = State(9_000, 9, 8, "G2"), State(9_000, 9, 2, "T4"), State(2_000, 9, 2, "P100")
FLEET = Fleet([LARGE, SMALL, TIGHT, TIGHT])
FITTING = FLEET.fitting(TASK)


def test_first_fit_takes_the_first_node():
    assert FirstFit().choose(TASK, FITTING, FLEET) == LARGE


def test_best_fit_takes_the_fewest_gpus_then_the_least_cpu():
    assert BestFit().choose(TASK, FITTING, FLEET) == TIGHT


def test_random_takes_each_node_as_often_as_the_next():
    chosen = RandomFit(seed=1)

    times = Counter(chosen.choose(TASK, FITTING, FLEET) for _ in range(4_000))

    assert 900 < times[LARGE] < 1_100
    assert 1_900 < times[TIGHT] < 2_100
