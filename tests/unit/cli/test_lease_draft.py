"""The lease that onboarding prints to be edited: what the cluster shows, and nothing that its server would add."""

from datetime import UTC, datetime

import msgspec
import pytest
import yaml
from pydantic import ValidationError

from sublet.api.gpulease import GpuLease
from sublet.cli.onboarding.lease_draft import draft
from sublet.cli.onboarding.place import Place
from sublet.kube.wire import Node
from tests.builders.nodes import H200, gpu_node, mig_node

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
WEST = Place("west", "west", None, "sublet-system")


def wire(*nodes) -> list[Node]:
    return [msgspec.convert(node, Node) for node in nodes]


def test_a_draft_is_for_the_product_that_can_be_sold_most_of():
    nodes = wire(gpu_node("a"), gpu_node("b"), gpu_node("c", H200), mig_node("m"))

    text = draft(WEST, nodes, NOW)

    spec = yaml.safe_load(text)["spec"]
    assert spec["product"] == "NVIDIA-H100-80GB-HBM3"
    assert spec["commitment"]["phases"][0]["gpus"] == "EDIT-16"
    assert text.endswith("# a lease of its own is needed for 8 GPUs of NVIDIA-H200\n")


@pytest.mark.parametrize("line_end", ["\n", "\r", "\x85", "\u2028"])
def test_a_product_of_a_server_that_lies_ends_no_comment_of_a_draft(line_end: str):
    lie = gpu_node("c", H200)
    lie["metadata"]["labels"]["nvidia.com/gpu.product"] = f"x{line_end}---{line_end}kind: Secret"

    (lease,) = yaml.safe_load_all(draft(WEST, wire(gpu_node("a"), gpu_node("b"), lie), NOW))

    assert lease["kind"] == "GpuLease"


@pytest.mark.parametrize(
    "place", [WEST, Place("hub", "own", None, "sublet-system", in_cluster=True)]
)
def test_a_draft_whose_examples_are_taken_is_a_lease(place):
    body = yaml.safe_load(draft(place, [], NOW).replace("EDIT-", ""))

    lease = GpuLease.model_validate(body)

    assert str(lease.spec.prices[0].per_gpu_hour) == "2.35"
    assert (lease.spec.cluster_ref.in_cluster is not None) is place.in_cluster


@pytest.mark.parametrize(
    "guess",
    [
        'tenantAlias: "EDIT-west"',
        'term:\n    startTime: "EDIT-2026-11-22T00:00:00Z"',
        'endTime: "EDIT-2029-01-01T00:00:00Z"',
        "gpus: EDIT-16",
        'effectiveTime: "EDIT-2026-11-22T00:00:00Z"',
    ],
    ids=lambda guess: guess.partition(":")[0],
)
def test_a_guess_that_cant_be_taken_back_makes_no_lease_until_somebody_edits_it(guess: str):
    text = draft(WEST, wire(gpu_node("a"), gpu_node("b")), NOW)
    example = guess.replace("EDIT-", "")
    edited = text.replace("EDIT-", "")
    GpuLease.model_validate(yaml.safe_load(edited))

    assert guess in text
    with pytest.raises(ValidationError, match="EDIT-"):
        GpuLease.model_validate(yaml.safe_load(edited.replace(example, guess, 1)))


@pytest.mark.parametrize(
    ("example", "word"),
    [
        ("EDIT-ES", "NO"),
        ("EDIT-EU", "no"),
        ("EDIT-landlord", "1e3"),
        ("EDIT-contract-number", "4711"),
        ("EDIT-region", "1"),
        ("EDIT-2.35", "2"),
    ],
)
def test_a_word_stays_a_text_when_it_is_put_in_for_the_example(example, word):
    text = draft(WEST, [], NOW).replace(example, word).replace("EDIT-", "")

    GpuLease.model_validate(yaml.safe_load(text))
