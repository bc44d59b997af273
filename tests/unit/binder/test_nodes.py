"""Whose pods keep a node from being adopted."""

import asyncio
from types import SimpleNamespace

import pytest

from sublet.binder.nodes import foreign_pods
from sublet.kube.lists import ListPage
from sublet.kube.wire import Meta, Node
from tests.builders.api import uid_of
from tests.builders.wire import gpu_pod, page

CLAIM = uid_of("claim")


def is_foreign(namespace: str, *, labels: dict[str, str], holders: tuple[str, ...] = ()) -> bool:
    """Say whether a pod with a GPU in this namespace is foreign on a node with these labels."""

    async def list_page(*_: object, **__: object) -> ListPage:
        return page(gpu_pod(namespace))

    cluster = SimpleNamespace(api=SimpleNamespace(list_page=list_page))
    node = Node(metadata=Meta(name="n", labels=labels))
    return asyncio.run(foreign_pods(cluster, node, holders))


@pytest.mark.parametrize("namespace", ["gpu-operator", "sublet-1-1", f"x-sublet-{CLAIM}-1"])
def test_a_pod_that_isnt_a_claims_is_foreign(namespace: str):
    assert is_foreign(namespace, labels={f"claim.sublet.dev/{CLAIM}": "true"})


def test_a_pod_of_a_claim_that_is_on_the_node_is_at_home():
    assert not is_foreign(f"sublet-{CLAIM}-1", labels={f"claim.sublet.dev/{CLAIM}": "true"})


def test_a_pod_of_a_claim_that_isnt_on_a_node_made_anew_under_it_is_foreign():
    assert is_foreign(f"sublet-{CLAIM}-1", labels={})


def test_a_pod_of_a_claim_that_lost_its_mark_on_the_node_is_at_home():
    assert not is_foreign(f"sublet-{CLAIM}-1", labels={}, holders=(CLAIM,))
