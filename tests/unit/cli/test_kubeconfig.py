import stat
from typing import Any

import pytest
import yaml

from sublet.api.common import ObjectMeta
from sublet.cli.kubeconfig import merge_into_file
from sublet.cli.problems import Problem

TRAIN = ObjectMeta(name="train", namespace="acme", uid="1")
OTHER = ObjectMeta(name="train", namespace="globex", uid="2")


def config(name: str, server: str, namespace: str = "mine") -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": server}}],
        "users": [{"name": name, "user": {"token": "t"}}],
        "contexts": [
            {"name": name, "context": {"cluster": name, "user": name, "namespace": namespace}}
        ],
        "current-context": name,
    }


def access(claim: ObjectMeta, server: str) -> dict[str, Any]:
    return config("eu-west", server, f"sublet-{claim.uid}-1")


def servers(path) -> dict[str, str]:
    """Context -> the server that it leads to."""
    found = yaml.safe_load(path.read_text())
    clusters = {c["name"]: c["cluster"]["server"] for c in found["clusters"]}
    return {c["name"]: clusters[c["context"]["cluster"]] for c in found["contexts"]}


@pytest.fixture
def path(tmp_path):
    (tmp_path / "config").write_text(yaml.safe_dump(config("mine", "https://mine")))
    return tmp_path / "config"


def test_merging_adds_the_claims_context_and_keeps_the_users_own(path):
    names = merge_into_file(path, access(TRAIN, "https://b"), TRAIN)

    assert names == ["eu-west"]
    assert servers(path) == {"mine": "https://mine", "eu-west": "https://b"}
    assert yaml.safe_load(path.read_text())["current-context"] == "mine"


def test_merging_again_replaces_the_same_claims_entry(path):
    merge_into_file(path, access(TRAIN, "https://old"), TRAIN)
    merge_into_file(path, access(TRAIN, "https://new"), TRAIN)

    assert servers(path) == {"mine": "https://mine", "eu-west": "https://new"}


def test_two_claims_in_one_cluster_keep_a_context_each(path):
    second = OTHER.model_copy(update={"name": "infer"})

    merge_into_file(path, access(TRAIN, "https://a"), TRAIN)
    names = merge_into_file(path, access(second, "https://b"), second)

    assert names == ["eu-west-infer"]
    assert servers(path)["eu-west"] == "https://a"
    assert servers(path)["eu-west-infer"] == "https://b"


def test_namesakes_in_two_namespaces_keep_a_context_each(path):
    third = ObjectMeta(name="train", namespace="initech", uid="3")

    names = [
        merge_into_file(path, access(claim, "https://a"), claim)[0]
        for claim in (TRAIN, OTHER, third, TRAIN, OTHER, third)
    ]

    assert names == ["eu-west", "eu-west-train", "eu-west-initech-train"] * 2


def test_the_users_own_cluster_of_that_name_is_never_replaced(tmp_path):
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(config("eu-west", "https://my-own")))

    merge_into_file(path, access(TRAIN, "https://b"), TRAIN)

    assert servers(path) == {"eu-west": "https://my-own", "eu-west-train": "https://b"}


def test_two_contexts_of_one_claim_never_get_one_name(tmp_path):
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(config("eu-west", "https://my-own")))
    two = access(TRAIN, "https://b")
    for section, entries in access(TRAIN, "https://c").items():
        if isinstance(entries, list):
            two[section] += [{**e, "name": "eu-west-train"} for e in entries]

    names = merge_into_file(path, two, TRAIN)

    assert len(set(names)) == 2
    assert sorted(servers(path).values()) == ["https://b", "https://c", "https://my-own"]


def test_a_context_of_another_shape_is_nobodys(tmp_path):
    path = tmp_path / "config"
    odd = {
        **config("eu-west", "https://my-own"),
        "contexts": [{"name": "eu-west", "context": "text"}],
    }
    path.write_text(yaml.safe_dump(odd))

    assert merge_into_file(path, access(TRAIN, "https://b"), TRAIN) == ["eu-west-train"]


def test_a_new_file_is_the_users_alone_and_gets_the_claims_context_as_current(tmp_path):
    path = tmp_path / "deep" / "config"

    merge_into_file(path, access(TRAIN, "https://b"), TRAIN)

    assert yaml.safe_load(path.read_text())["current-context"] == "eu-west"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_link_stays_a_link(path, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(path)

    merge_into_file(link, access(TRAIN, "https://b"), TRAIN)

    assert link.is_symlink()
    assert "eu-west" in servers(path)


@pytest.mark.parametrize(
    "text",
    [
        "- just\n- a list\n",
        "contexts: 7\n",
        "clusters: [a]\n",
        "{ junk: [",
        "a: !!bool x\n",
        "[" * 5_000,
    ],
)
def test_a_file_that_is_no_kubeconfig_is_left_alone(tmp_path, text):
    path = tmp_path / "notes.txt"
    path.write_text(text)

    with pytest.raises(Problem, match="kubeconfig; name another file"):
        merge_into_file(path, access(TRAIN, "https://b"), TRAIN)

    assert path.read_text() == text
