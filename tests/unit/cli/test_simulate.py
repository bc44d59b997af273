import json

import pytest
from typer.testing import CliRunner

from sublet.cli.main import app

NODES = "sn,cpu_milli,memory_mib,gpu,model\nn-0,8000,1024,2,T4\nn-1,8000,1024,2,G2\n"
PODS = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec\na,1000,1,2,1000,\nb,1000,1,1,460,T4\n"


@pytest.fixture
def simulate(tmp_path):
    def call(*options, nodes=NODES, pods=PODS):
        for name, text in (("nodes.csv", nodes), ("pods.csv", pods)):
            if text is not None:
                (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        files = [str(tmp_path / name) for name in ("nodes.csv", "pods.csv")]
        return CliRunner().invoke(app, ["simulate", "openb", *files, *options])

    return call


def test_all_strategies_stand_side_by_side(simulate):
    lines = simulate().stdout.splitlines()

    assert lines[0] == "Fleet: 4 GPUs on 2 nodes"
    assert lines[3].split() == ["STRATEGY", "ALLOCATED", "GPUS", "AT-CAPACITY"]
    assert [line.split()[0] for line in lines[4:]] == [
        "sublet", "first-fit", "best-fit", "random", "fragmentation-gradient",
    ]  # fmt: skip


def test_one_strategy_as_data(simulate):
    answer = json.loads(simulate("--strategy", "sublet", "-o", "json").stdout)

    (run,) = answer.pop("strategies")
    assert answer == {"nodes": 2, "gpus": 4, "tasks": answer["tasks"], "gpusAsked": answer["gpusAsked"]}  # fmt: skip
    assert answer["gpusAsked"] >= 6
    assert run["strategy"] == "sublet"
    assert run["share"] == run["gpusAllocated"] / 4
    assert run["tasksPlaced"] + run["tasksRefused"] == answer["tasks"]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"pods": None}, "pods.csv: No such file or directory; give the path of a CSV file"),
        ({"nodes": b"\xff\xfe"}, "nodes.csv: it isn't text; give a CSV file in UTF-8"),
        ({"nodes": ""}, "nodes.csv: the file is empty"),
        ({"nodes": NODES.replace("2,T4", "x,T4")}, "nodes.csv:2: gpu is 'x'"),
        ({"nodes": NODES.replace(",2,", ",0,")}, "nodes.csv: no node has a GPU"),
        ({"pods": "cpu_milli,memory_mib,num_gpu\n1,1,0\n"}, "pods.csv: no pod asks for a GPU"),
    ],
)
def test_an_error_is_one_line(simulate, files, said):
    result = simulate(**files)

    assert result.exit_code == 1
    assert said in result.stderr
    assert result.stderr.startswith("sublet: ")
    assert result.stderr.count("\n") == 1


def test_an_unknown_strategy_names_those_that_are_known(simulate):
    result = simulate("--strategy", "worst-fit")

    assert result.exit_code == 2
    assert "best-fit" in result.stderr
