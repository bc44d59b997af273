import pytest

from sublet.simulate.fleet import State, Task
from sublet.simulate.openb import TraceError, parse_nodes, parse_pods

NODES = "sn,cpu_milli,memory_mib,gpu,model"
PODS = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,creation_time"


def test_a_node_is_what_it_has():
    assert parse_nodes([NODES, "n-0,64000,262144,2,P100", "n-1,32000,1024,0,"], "nodes.csv") == [
        State(64_000, 262_144, 2, "P100"),
        State(32_000, 1_024, 0, ""),
    ]


def test_a_part_of_a_gpu_counts_as_one_and_models_are_alternatives():
    lines = [PODS, "a,6000,12288,1,460,V100|T4,0", "b,500,1,0,0,,1", "c,1,1,0.5,1000,,2"]

    assert parse_pods(lines, "pods.csv") == [
        Task(6_000, 12_288, 1, frozenset({"V100", "T4"})),
        Task(500, 1, 0),
        Task(1, 1, 1),
    ]


def test_pods_arrive_in_order_of_their_creation():
    lines = [PODS, "late,3,1,1,1000,,30", "first,1,1,1,1000,,10", "second,2,1,1,1000,,10"]

    assert [task.cpu_milli for task in parse_pods(lines, "pods.csv")] == [1, 2, 3]


def test_without_creation_times_pods_arrive_as_they_stand():
    lines = ["cpu_milli,memory_mib,num_gpu", "3,1,1", "1,1,1"]

    assert [task.cpu_milli for task in parse_pods(lines, "pods.csv")] == [3, 1]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "pods.csv: the file is empty; its first line must name the columns"),
        ([PODS], "pods.csv: nothing follows the first line; give at least one row"),
        (
            [NODES, "n,1,1,1,T4"],
            "pods.csv:1: no column num_gpu; the first line must name at least cpu_milli, memory_mib, num_gpu",
        ),
        (
            [PODS, "a,1,1,1,1000,,0", "b,1,many,1,1000,,0"],
            "pods.csv:3: memory_mib is 'many'; give a number from 0 to 1e+15",
        ),
        (
            [PODS, "a,1,1,-1,1000,,0"],
            "pods.csv:2: num_gpu is '-1'; give a number from 0 to 1e+15",
        ),
        (
            [PODS, "a,1,1,1,1000,,soon"],
            "pods.csv:2: creation_time is 'soon'; give a number from 0 to 1e+15",
        ),
        ([PODS, "a,nan,1,1,1,,0"], "pods.csv:2: cpu_milli is 'nan'; give a number from 0 to 1e+15"),
        ([PODS, "a,1,1"], "pods.csv:2: the line must have 7 fields, as line 1 has"),
        ([PODS, "a,1,1,1,1,,0,9"], "pods.csv:2: the line must have 7 fields, as line 1 has"),
    ],
)
def test_an_error_says_what_is_wrong_where_and_what_to_do(lines, message):
    with pytest.raises(TraceError) as raised:
        parse_pods(lines, "pods.csv")

    assert str(raised.value) == message
