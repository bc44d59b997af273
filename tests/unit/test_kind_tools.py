"""What the kind story is told with, and what it says of what it lacks; the programs here only look like the real ones."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.kind.shell import Missing
from tests.kind.tools import prepare

_AIRGAP = """
echo "$1 $KIND_AIRGAP_PREFIX" >> {folder}/called
case $1 in
  env) test -e {folder}/is-up ;;
  up) test ! -e {folder}/broken || exit 1
      echo 'export KIND=/made/kind'; echo 'export KIND_NODE_IMAGE=node:1'; echo 'export KIND_CONFIG=/made/kind.yaml'
      echo 'export PYTHON_IMAGE=python:made'; echo "export KIND_AIRGAP_PREFIX=${{KIND_AIRGAP_PREFIX:-other-}}" ;;
esac
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("KUBECTL", "HELM"):
        monkeypatch.setenv(f"TEST_ASSET_{name}", str(tmp_path / name.lower()))
    return tmp_path


def given(folder: Path, **settings: str) -> Mapping[str, str]:
    """Return an environment where only what the test made and a few programs can be found."""
    for name in ("bash", "env", "test"):
        link = folder / name
        if not link.exists():
            link.symlink_to(f"/usr/bin/{name}")
    return {"PATH": str(folder), **settings}


def program(path: Path, text: str = "") -> str:
    path.write_text(f"#!/usr/bin/bash\n{text}\n")
    path.chmod(0o755)
    return str(path)


def airgap(folder: Path) -> str:
    return program(folder / "airgap", _AIRGAP.format(folder=folder))


def called(folder: Path) -> list[str]:
    return (folder / "called").read_text().splitlines()


def missing(environment: Mapping[str, str]) -> str:
    with pytest.raises(Missing) as raised:
        prepare(environment)
    return str(raised.value)


def test_without_anything_one_line_says_what_is_missing(folder: Path):
    said = missing(given(folder, KIND_AIRGAP="/nowhere/kind-airgap"))

    assert said == "no kind clusters: kind doesn't run (KIND names another), and /nowhere/kind-airgap (KIND_AIRGAP), which builds what is needed, isn't there"  # fmt: skip


def test_a_kind_that_is_named_is_the_only_one_tried(folder: Path):
    said = missing(given(folder, KIND="/nowhere/kind", KIND_AIRGAP=airgap(folder)))

    assert said == "no kind clusters: /nowhere/kind doesn't run (KIND names another); KIND is set, so nothing else is tried"  # fmt: skip
    assert not (folder / "called").exists()


@pytest.mark.parametrize(
    ("docker", "words"),
    [
        ("exit 1", "docker doesn't answer"),
        ('test "$1" = info', "python:3.11-slim is neither here nor in a registry that answers (PYTHON_IMAGE names another)"),
    ],
    ids=["no docker", "no registry"],
)  # fmt: skip
def test_a_docker_that_is_no_use_is_said(folder: Path, docker: str, words: str):
    program(folder / "kind")
    program(folder / "docker", docker)

    assert words in missing(given(folder, KIND="kind"))


def test_the_public_parts_are_the_defaults(folder: Path):
    program(folder / "kind")
    program(folder / "docker")

    tools = prepare(given(folder, KIND_AIRGAP=airgap(folder)))

    assert (tools.kind, tools.node_image, tools.config) == ("kind", "", None)
    assert (tools.python_image, tools.prefix, tools.airgap) == ("python:3.11-slim", "sublet-", None)
    assert not (folder / "called").exists()


def test_what_is_named_is_used(folder: Path):
    program(folder / "docker")
    named = {"KIND": program(folder / "my-kind"), "KIND_NODE_IMAGE": "node:2"}

    tools = prepare(given(folder, **named, KIND_CONFIG="/my/kind.yaml", PYTHON_IMAGE="python:mine"))

    assert (tools.kind, tools.node_image) == (named["KIND"], "node:2")
    assert (tools.config, tools.python_image) == (Path("/my/kind.yaml"), "python:mine")


def test_where_nothing_public_can_be_had_the_tool_makes_it_and_is_taken_down(folder: Path):
    tools = prepare(given(folder, KIND_AIRGAP=airgap(folder)))
    tools.take_down()

    assert (tools.kind, tools.node_image) == ("/made/kind", "node:1")
    assert (tools.config, tools.python_image) == (Path("/made/kind.yaml"), "python:made")
    assert tools.prefix == "sublet-"
    assert called(folder) == ["env sublet-", "up sublet-", "down sublet-"]


def test_a_tool_that_was_up_before_stays_up(folder: Path):
    (folder / "is-up").touch()

    tools = prepare(given(folder, KIND_AIRGAP=airgap(folder)))
    tools.take_down()

    assert tools.prefix == "other-sublet-"
    assert called(folder)[-1] == "up "


def test_a_tool_that_fails_half_way_is_taken_down(folder: Path):
    (folder / "broken").touch()

    with pytest.raises(AssertionError, match="exit status 1"):
        prepare(given(folder, KIND_AIRGAP=airgap(folder)))

    assert called(folder)[-1] == "down sublet-"
