import os

import pytest
import yaml

from sublet.cli.contexts import Context, find_context
from sublet.cli.problems import Problem


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write kubeconfigs and let KUBECONFIG name them in this order."""

    def written(*configs) -> None:
        paths = [tmp_path / str(i) for i in range(len(configs))]
        for path, config in zip(paths, configs, strict=True):
            path.write_text(config if isinstance(config, str) else yaml.safe_dump(config))
        monkeypatch.setenv("KUBECONFIG", os.pathsep.join(map(str, paths)))

    return written


def config(current: str = "", **namespaces: str):
    contexts = [
        {"name": n, "context": {"namespace": s} if s else {}} for n, s in namespaces.items()
    ]
    return {"kind": "Config", "contexts": contexts, "current-context": current}


def test_the_current_context_brings_its_namespace(write):
    write(config("hub", hub="acme", west=""))

    assert find_context(None) == Context("hub", "acme")
    assert find_context("west") == Context("west", "default")


def test_the_first_file_that_says_something_wins_as_with_kubectl(write):
    write(config("", hub="first"), config("hub", hub="second", west=""), config("west"))

    assert find_context(None) == Context("hub", "first")


def test_a_context_that_isnt_there_is_answered_with_those_that_are(write):
    write(config("gone", hub="", west=""))

    with pytest.raises(Problem, match=r"no context gone; give --context \(there are: hub, west\)"):
        find_context(None)


@pytest.mark.parametrize("wanted", ["gone", None])
def test_what_is_to_be_given_is_the_option_of_the_command_at_hand(write, wanted):
    write(config(hub=""))

    with pytest.raises(Problem, match=r"; give --hub-context \("):
        find_context(wanted, "--hub-context")


def test_without_any_kubeconfig_nothing_is_meant(monkeypatch):
    monkeypatch.setenv("KUBECONFIG", "/nowhere")

    assert find_context(None) is None
    with pytest.raises(Problem, match="there is no kubeconfig for --context hub; set KUBECONFIG"):
        find_context("hub")
    with pytest.raises(Problem, match="there is no kubeconfig for --cluster hub; set KUBECONFIG"):
        find_context("hub", "--cluster")


@pytest.mark.parametrize("text", ["{ junk: [", "hello", "- a\n- list\n", "\0"])
def test_what_is_no_kubeconfig_is_named_by_its_path(write, text):
    write(text)

    with pytest.raises(Problem, match="set KUBECONFIG"):
        find_context(None)


@pytest.mark.parametrize(
    "contexts", [7, "text", [1, {"context": {}}, {"name": "x", "context": 7}], {"a": 1}]
)
def test_contexts_of_a_strange_shape_are_no_contexts(write, contexts):
    write({"contexts": contexts})

    with pytest.raises(Problem, match="no current context"):
        find_context(None)


def test_a_pipe_is_named_as_it_can_be_read_only_once(monkeypatch):
    reading, writing = os.pipe()
    os.write(writing, yaml.safe_dump(config("hub", hub="acme")).encode())
    os.close(writing)
    monkeypatch.setenv("KUBECONFIG", f"/dev/fd/{reading}")

    with pytest.raises(Problem, match=rf"/dev/fd/{reading} is a pipe, .* once; .* into a file"):
        find_context(None)
    os.close(reading)
