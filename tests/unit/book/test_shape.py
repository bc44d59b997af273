"""The forms that a claim can take on nodes of given sizes."""

import pytest

from sublet.api.gpuclaim import Allocation
from sublet.book.shape import MAX_NODES, Shape, shapes_on, unfit_message
from tests.builders.api import as_claim, claim


def shapes(sizes, **spec):
    return shapes_on(as_claim(claim(**spec)), frozenset(sizes))


def whole(nodes, gpus):
    return Shape(nodes, gpus, is_part=False)


def part(gpus):
    return Shape(1, gpus, is_part=True)


@pytest.mark.parametrize(
    ("sizes", "spec", "expected"),
    [
        ({8}, {"gpus": 3}, [part(3)]),
        ({8}, {"gpus": 8}, [whole(1, 8)]),
        ({8}, {"gpus": 24}, [whole(3, 8)]),
        ({8}, {"gpus": 12}, []),
        ({4, 8}, {"gpus": 4}, [part(4), whole(1, 4)]),
        ({4, 8}, {"gpus": 8}, [whole(1, 8), whole(2, 4)]),
        ({4, 8}, {"gpus": 12}, [whole(3, 4)]),
        ({8}, {"gpus": 16, "gpusPerNode": 8}, [whole(2, 8)]),
        ({8}, {"gpus": 16, "gpusPerNode": 4}, []),
        ({4, 8}, {"gpus": 16, "gpusPerNode": 4}, [whole(4, 4)]),
        ({8}, {"gpus": 4, "gpusPerNode": 4}, [part(4)]),
        ({4, 8}, {"gpus": 8, "topology": {"scope": "Node"}}, [whole(1, 8)]),
        ({4}, {"gpus": 8, "topology": {"scope": "Node"}}, []),
        ({4}, {"gpus": 8, "topology": {"scope": "Node", "required": False}}, [whole(2, 4)]),
        (set(), {"gpus": 8}, []),
    ],
)
def test_a_claim_takes_a_part_of_one_node_or_whole_nodes_of_one_size(sizes, spec, expected):
    assert list(shapes(sizes, **spec)) == expected


def test_a_claim_takes_no_more_nodes_than_its_status_can_name():
    named = Allocation.model_json_schema()["properties"]["placements"]["maxItems"]

    assert named == MAX_NODES
    assert shapes({1}, gpus=MAX_NODES) == (whole(MAX_NODES, 1),)
    assert shapes({1}, gpus=MAX_NODES + 1) == ()


@pytest.mark.parametrize(
    ("sizes", "spec", "said"),
    [
        ({8}, {"gpus": 12}, "ask for 8 or 16"),
        ({8, 6}, {"gpus": 20}, "a multiple of a node's 6 or 8; ask for 18 or 24"),
        ({8}, {"gpus": 16, "gpusPerNode": 4}, "gpusPerNode 4 fits no node: nodes have 8"),
        ({8}, {"gpus": 9, "topology": {"scope": "Node"}}, "9 GPUs don't fit on one node"),
        ({1}, {"gpus": 5_000}, "5000 GPUs take more than 4096 nodes of 1; make several claims"),
        ({1, 8}, {"gpus": 4_097}, "ask for 4096 or 4104"),
        ({4}, {"gpus": 32_000, "gpusPerNode": 4}, "take more than 4096 nodes of 4"),
    ],
)
def test_a_claim_that_fits_no_node_is_told_why_and_what_would(sizes, spec, said):
    assert said in unfit_message(as_claim(claim(**spec)), sizes)
