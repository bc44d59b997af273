"""What of a cluster's nodes is kept in memory, whatever their texts are like."""

import itertools
import string

import pytest

from sublet.fleet import vetting
from sublet.fleet.vetting import MOST_KEPT_BYTES, Kept, weight_of
from sublet.kube.errors import BadAnswer
from sublet.kube.wire import Node
from tests.builders.api import uid_of
from tests.builders.wire import wire_node

SHORT = ["".join(each) for each in itertools.product(string.ascii_letters, repeat=2)]


def labelled(name: str, labels: dict[str, str]) -> Node:
    return wire_node(name, uid=uid_of(name), labels=labels)


def test_thousands_of_short_labels_are_no_small_node():
    """A dictionary of them takes 200 bytes for each."""
    many = labelled("many", dict.fromkeys(SHORT, ""))

    assert weight_of(many) - weight_of(labelled("none", {})) > 130 * len(SHORT)


def test_the_largest_honest_cluster_is_kept():
    labels = {f"feature.node.kubernetes.io/cpu-cpuid.FLAG{i:03d}": "true" for i in range(200)}

    assert weight_of(labelled("n0", labels)) * 12_500 < MOST_KEPT_BYTES


def test_a_cluster_that_shows_more_than_any_has_isnt_believed(monkeypatch: pytest.MonkeyPatch):
    room = 2 * weight_of(labelled("n0", {}))
    monkeypatch.setattr(vetting, "MOST_KEPT_BYTES", room)
    kept = Kept()
    for name in ("n0", "n0", "n1"):  # the same again takes no more
        kept.take(labelled(name, {}))

    with pytest.raises(BadAnswer, match="more text than any cluster has"):
        kept.take(labelled("n2", {}))


def test_a_character_of_four_bytes_counts_as_such():
    plain, wide = (labelled("n0", {"a": c * 300}) for c in ("x", "\N{GRINNING FACE}"))

    assert weight_of(wide) - weight_of(plain) > 900
