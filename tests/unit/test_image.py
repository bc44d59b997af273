"""What the Dockerfile promises: its base is named from outside, packages are checked, and what runs can build nothing and is nobody."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.planes.binaries import ROOT

BASE = "${PYTHON_IMAGE}${PYTHON_DIGEST:+@${PYTHON_DIGEST}}"
BUILDS = re.compile(r"\b(pip|apt|apt-get|apk|dnf|gcc|g\+\+|cc|make|curl|wget|git)\b")
PIN = re.compile(r"^([\w.-]+)==(\S+)")


class Instruction(NamedTuple):
    word: str
    rest: str


def stages() -> list[list[Instruction]]:
    """Return the instructions of each stage; the first list is what stands before them."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = [x.strip() for x in text.replace("\\\n", " ").splitlines() if x.strip()]
    found: list[list[Instruction]] = [[]]
    for word, _, rest in (line.partition(" ") for line in lines):
        if word == "FROM":
            found.append([])
        found[-1].append(Instruction(word, re.sub(r"\s+", " ", rest.strip())))
    return found


def words(stage: list[Instruction], word: str) -> list[str]:
    """Return what stands after a word in a stage."""
    return [x.rest for x in stage if x.word == word]


def pins(name: str) -> dict[str, tuple[str, frozenset[str]]]:
    """Return package -> version and hashes of a lock file."""
    found: dict[str, tuple[str, set[str]]] = {}
    package = ""
    for line in (ROOT / name).read_text().splitlines():
        if pin := PIN.match(line):
            package = pin[1]
            found[package] = (pin[2], set())
        elif "--hash=" in line:
            found[package][1].add(line.strip(" \\"))
    return {k: (version, frozenset(hashes)) for k, (version, hashes) in found.items()}


def test_every_base_is_named_by_arguments_and_by_its_digest_if_there_is_one():
    before, *made = stages()

    assert [x.rest.split("=")[0] for x in before] == ["PYTHON_IMAGE", "PYTHON_DIGEST"]
    assert [stage[0].rest.split(" AS ")[0] for stage in made] == [BASE, BASE]


def test_any_builder_can_build_it():
    text = (ROOT / "Dockerfile").read_text()

    assert "syntax=" not in text
    assert "--mount" not in text
    assert "<<" not in text


def test_nothing_is_installed_that_isnt_checked():
    _, first, _ = stages()

    runs = " && ".join(words(first, "RUN")).split(" && ")
    installs = [x for x in runs if re.search(r"\bpip\b.* (install|wheel) ", x)]
    fetched = [x for x in installs if "--no-index" not in x]
    assert len(installs) == 4
    assert len(fetched) == 2
    assert all("--require-hashes" in x and "--only-binary :all:" in x for x in fetched)


def test_the_last_stage_takes_what_was_built_and_can_build_nothing():
    *_, last = stages()

    assert words(last, "COPY") == ["--from=build /opt/sublet /opt/sublet"]
    assert words(last, "ADD") == []
    assert [x for x in words(last, "RUN") if BUILDS.search(x)] == []
    (venv,) = re.findall(r"-m venv (\S+ )?/opt/sublet", " ".join(words(stages()[1], "RUN")))
    assert venv.strip() == "--without-pip"


def test_what_runs_is_the_charts_user_and_writes_where_the_chart_has_volumes():
    *_, last = stages()
    pod = (ROOT / "charts/sublet/templates/deployment.yaml").read_text()

    (user,) = words(last, "USER")
    number, group = user.split(":")
    assert f"runAsUser: {number}\n" in pod
    assert f"runAsGroup: {group}\n" in pod
    assert last.index(Instruction("USER", user)) > max(n for n, x in enumerate(last) if x.word in ("RUN", "COPY"))  # fmt: skip
    environment = " ".join(words(last, "ENV"))
    assert "PYTHONDONTWRITEBYTECODE=1" in environment
    assert "HOME=/tmp" in environment
    assert "mountPath: /tmp}" in pod
    assert "mountPath: /var/lib/sublet}" in pod
    assert words(last, "ENTRYPOINT") == ['["python", "-m", "sublet"]']


def test_the_context_is_only_what_the_image_is_made_of():
    lines = [x for x in (ROOT / ".dockerignore").read_text().splitlines() if not x.startswith("#")]
    given = {x.removeprefix("!") for x in lines if x.startswith("!")}
    copied = {
        source.strip("/") for rest in words(stages()[1], "COPY") for source in rest.split()[:-1]
    }

    assert lines[0] == "*"
    assert {x for x in copied if not any(x == g or x.startswith(f"{g}/") for g in given)} == set()
    assert given == {"LICENSE", "README.md", "pyproject.toml", "operator", "tools/image"}


@pytest.mark.parametrize("name", ["runtime", "build"])
def test_the_image_has_the_versions_that_are_tested(name: str):
    tested = pins("requirements.lock")

    assert {
        package: pin
        for package, pin in pins(f"tools/image/{name}.lock").items()
        if tested.get(package) != pin
    } == {}


def test_the_image_has_every_package_that_the_operator_needs():
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {re.split(r"[\[<>=]", x)[0].lower() for x in needed}

    assert names <= pins("tools/image/runtime.lock").keys()


def run_build(folder: Path, *, docker: str = "", **environment: str) -> "subprocess.CompletedProcess[str]":  # fmt: skip
    """Run tools/image/build where no program is but a few, and perhaps a docker of the test's own."""
    for name in ("bash", "sed", "dirname", "awk"):
        (folder / name).symlink_to(str(shutil.which(name)))
    if docker:
        path = folder / "docker"
        path.write_text(f"#!{shutil.which('bash')}\n{docker}\n")
        path.chmod(0o755)
    return subprocess.run(
        [folder / "bash", ROOT / "tools/image/build"],
        env={"PATH": str(folder), "LANG": os.environ.get("LANG", "C"), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_a_builder_one_line_says_so(tmp_path: Path):
    done = run_build(tmp_path)

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == "no image: neither docker, podman nor buildah answers here; start one, or name it with BUILDER=\n"  # fmt: skip


def test_base_and_digest_reach_the_builder(tmp_path: Path):
    docker = 'case $1 in build) echo "$@" ;; inspect) echo 123000000 ;; esac'
    given = {"IMAGE": "here/sublet:1", "PYTHON_IMAGE": "mine:3", "PYTHON_DIGEST": "sha256:00"}

    done = run_build(tmp_path, docker=docker, **given)

    assert done.returncode == 0, done.stderr
    built, size = done.stdout.splitlines()
    assert "--build-arg PYTHON_IMAGE=mine:3 --build-arg PYTHON_DIGEST=sha256:00" in built
    assert built.endswith("--tag here/sublet:1 --file Dockerfile .")
    assert size == "here/sublet:1: 123 MB"
