"""What is read of objects, whatever an API server lets their owners write into them."""

from typing import Any

import msgspec
import pytest

from sublet.kube.wire import Node, Pod

LONGEST_KEY = f"{'a.' * 126}a/{'b' * 63}"
"""A prefix of 253 characters, and a name of 63."""


def words(count: int) -> dict[str, str]:
    return {f"word-{i}": "x" for i in range(count)}


def test_a_key_of_a_label_may_be_as_long_as_an_api_server_lets_it_be():
    meta = {"name": "n", "labels": {LONGEST_KEY: "x"}, "annotations": {LONGEST_KEY: "x"}}
    node = {"metadata": meta, "spec": {"taints": [{"key": LONGEST_KEY, "effect": "NoSchedule"}]}}

    found = msgspec.json.decode(msgspec.json.encode(node), type=Node)

    assert (*found.metadata.labels, found.spec.taints[0].key) == (LONGEST_KEY, LONGEST_KEY)


@pytest.mark.parametrize("filled", ["labels", "annotations"])
def test_no_label_of_a_tenants_pod_makes_it_unreadable(filled: str):
    pod = {"metadata": {"name": "a", "namespace": "x", filled: words(50_000)}}

    found = msgspec.json.decode(msgspec.json.encode(pod), type=Pod)

    assert found.metadata.key == "x/a"


@pytest.mark.parametrize("kind", ["containers", "initContainers"])
@pytest.mark.parametrize("asked", ["limits", "requests"])
def test_of_thousands_of_containers_one_is_kept_that_asks_for_gpus(kind: str, asked: str):
    plain: dict[str, Any] = {"resources": {"limits": {"cpu": "1"}, "requests": {}}}
    greedy = {"resources": {asked: {"nvidia.com/gpu": "1"}}}
    pod = {"metadata": {}, "spec": {"containers": [{}, plain], kind: [plain, greedy, {}] * 1_000}}

    found = msgspec.json.decode(msgspec.json.encode(pod), type=Pod)

    assert found.asks_for_gpus
    assert len(found.spec.containers) == 1


def test_a_pod_that_asks_for_no_gpus_doesnt_ask_for_them():
    pod = {"metadata": {}, "spec": {"containers": [{"resources": {"limits": {"cpu": "1"}}}, {}]}}

    assert not msgspec.json.decode(msgspec.json.encode(pod), type=Pod).asks_for_gpus
