import stat
from typing import Any

import pytest
import yaml

from sublet.cli.kubeconfig import merge, merge_into_file
from sublet.cli.problems import Problem


def config(name: str, server: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": server}}],
        "users": [{"name": name, "user": {"token": "t"}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }


def test_merging_adds_the_claims_context_and_keeps_the_users_own():
    merged = merge(config("mine", "https://a"), config("eu-west", "https://b"))

    assert [c["name"] for c in merged["contexts"]] == ["mine", "eu-west"]
    assert merged["current-context"] == "mine"


def test_merging_again_replaces_the_entry_of_the_same_name():
    once = merge(config("mine", "https://a"), config("eu-west", "https://old"))

    again = merge(once, config("eu-west", "https://new"))

    assert [c["cluster"]["server"] for c in again["clusters"]] == ["https://a", "https://new"]


def test_a_new_file_gets_the_claims_context_as_current(tmp_path):
    path = tmp_path / "deep" / "config"

    merge_into_file(path, config("eu-west", "https://b"))

    assert yaml.safe_load(path.read_text())["current-context"] == "eu-west"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_is_no_kubeconfig_is_left_alone(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("- just\n- a list\n")

    with pytest.raises(Problem, match="is not a kubeconfig"):
        merge_into_file(path, config("eu-west", "https://b"))

    assert path.read_text() == "- just\n- a list\n"
