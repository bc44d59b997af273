"""What is read of objects, whatever an API server lets their owners write into them."""

from typing import Any

import msgspec

from sublet.kube.wire import Node, PodList

LONGEST_KEY = f"{'a.' * 126}a/{'b' * 63}"
"""A prefix of 253 characters, and a name of 63."""


def words(count: int) -> dict[str, str]:
    return {f"word-{i}": "x" for i in range(count)}


def test_a_key_of_a_label_may_be_as_long_as_an_api_server_lets_it_be():
    meta = {"name": "n", "labels": {LONGEST_KEY: "x"}, "annotations": {LONGEST_KEY: "x"}}
    node = {"metadata": meta, "spec": {"taints": [{"key": LONGEST_KEY, "effect": "NoSchedule"}]}}

    found = msgspec.json.decode(msgspec.json.encode(node), type=Node)

    assert (*found.metadata.labels, found.spec.taints[0].key) == (LONGEST_KEY, LONGEST_KEY)


def test_no_label_of_a_tenants_pod_hides_the_pods_beside_it():
    pods: dict[str, Any] = {
        "metadata": {},
        "items": [
            {"metadata": {"name": "a", "namespace": "x", "labels": words(50_000)}},
            {"metadata": {"name": "b", "namespace": "x", "annotations": words(20_000)}},
        ],
    }

    found = msgspec.json.decode(msgspec.json.encode(pods), type=PodList)

    assert [pod.metadata.key for pod in found.items] == ["x/a", "x/b"]
