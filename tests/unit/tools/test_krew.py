"""The krew plugin: a manifest by krew's own rules, an archive that it fits, and a launcher that installs once."""

import hashlib
import os
import re
import subprocess
import sys
import tarfile
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

from sublet import __version__

ROOT = Path(__file__).parents[3]
WHEEL = f"sublet-{__version__}-py3-none-any.whl"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return the folder with archive and manifest, made from a wheel."""
    folder = tmp_path_factory.mktemp("krew")
    wheel = folder / WHEEL
    wheel.write_bytes(b"a wheel")
    run(wheel, folder / "first")
    run(wheel, folder / "second")
    return folder


def run(wheel, into):
    asked = ["--releases", "https://releases.invalid/d/", "--homepage", "https://sublet.invalid"]
    return subprocess.run(
        [sys.executable, ROOT / "tools" / "krew.py", wheel, *asked, "--into", into],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture
def manifest(made):
    return yaml.safe_load((made / "first" / "sublet.yaml").read_text())


@pytest.fixture
def archive(made):
    return made / "first" / f"kubectl-sublet-v{__version__}.tar.gz"


def test_the_manifest_is_one_by_krews_rules(manifest):
    spec = manifest["spec"]

    assert manifest["apiVersion"] == "krew.googlecontainertools.github.com/v1alpha2"
    assert (manifest["kind"], manifest["metadata"]) == ("Plugin", {"name": "sublet"})
    assert re.fullmatch(r"[\w-]+", manifest["metadata"]["name"])
    assert re.fullmatch(r"v\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?", spec["version"])
    assert 0 < len(spec["shortDescription"]) <= 50
    assert "\n" not in spec["shortDescription"]
    assert {"version", "homepage", "shortDescription", "description", "caveats", "platforms"} == set(spec)  # fmt: skip
    assert all("${" not in text for text in (spec["homepage"], spec["version"]))
    for platform in spec["platforms"]:
        assert set(platform) == {"selector", "uri", "sha256", "bin", "files"}
        assert {e["key"] for e in platform["selector"]["matchExpressions"]} <= {"os", "arch"}
        assert all(file["from"] and file["to"] for file in platform["files"])


def test_it_names_the_version_of_the_program_and_the_archive_by_its_digest(manifest, archive):
    (platform,) = manifest["spec"]["platforms"]

    assert manifest["spec"]["version"] == f"v{__version__}"
    assert platform["uri"] == f"https://releases.invalid/d/v{__version__}/{archive.name}"
    assert platform["sha256"] == hashlib.sha256(archive.read_bytes()).hexdigest()


def test_what_is_to_be_installed_is_in_the_archive(manifest, archive):
    (platform,) = manifest["spec"]["platforms"]
    with tarfile.open(archive) as packed:
        names = {entry.name: entry.mode for entry in packed}

    assert set(names) == {"kubectl-sublet", WHEEL, "LICENSE"}
    assert names[platform["bin"]] == 0o755
    for file in platform["files"]:
        assert any(fnmatch(name, file["from"]) for name in names)


def test_the_same_wheel_gives_the_same_bytes(made, archive):
    assert (made / "second" / archive.name).read_bytes() == archive.read_bytes()


def test_what_is_no_wheel_is_refused(tmp_path):
    done = run(tmp_path / "sublet.tar.gz", tmp_path)

    assert done.returncode == 1
    assert "is no wheel of sublet" in done.stdout


PYTHON = """#!/bin/sh
echo "python $*" >> "$LOG"
case "$1 $2" in
  "-c import"*) exit "${OLD:-0}" ;;
  "-m venv") mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  "-m pip") printf '#!/bin/sh\\necho "sublet $*"\\n' > "$(dirname "$0")/kubectl-sublet" && chmod +x "$(dirname "$0")/kubectl-sublet"
            exit "${BROKEN:-0}" ;;
esac
"""


class Krew:
    """The launcher where krew puts it, with a Python of the test's own."""

    def __init__(self, archive, folder):
        self.store, self.log = folder / "store", folder / "log"
        with tarfile.open(archive) as packed:
            packed.extractall(self.store, filter="data")
        (folder / "bin").mkdir()
        self.python = folder / "bin" / "python3"
        self.python.write_text(PYTHON)
        self.python.chmod(0o755)
        self.link = folder / "kubectl-sublet"
        self.link.symlink_to(self.store / "kubectl-sublet")
        path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        self.environment = {"PATH": path, "LOG": str(self.log), "XDG_DATA_HOME": str(folder / "data")}  # fmt: skip

    def run(self, *arguments, **environment):
        """Return exit status and what was printed."""
        given = self.environment | environment
        done = subprocess.run([self.link, *arguments], capture_output=True, text=True, check=False, env=given)  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    @property
    def calls(self):
        """Return how often Python was called."""
        return len(self.log.read_text().splitlines())


@pytest.fixture
def krew(archive, tmp_path):
    return Krew(archive, tmp_path)


def test_the_first_call_installs_and_later_ones_only_run(krew):
    first = krew.run("top", "-o", "wide")
    calls = krew.calls
    second = krew.run("top")

    assert (first[0], first[1]) == (0, "sublet top -o wide\n")
    assert f"the first call of version {__version__} makes" in first[2]
    assert second == (0, "sublet top\n", "")
    assert krew.calls == calls


def test_an_installation_that_broke_off_is_made_anew(krew):
    status, _, err = krew.run("top", BROKEN="1")

    assert status == 1
    assert err.splitlines()[-1] == "sublet: its dependencies could not be installed; see pip's words above"  # fmt: skip
    assert krew.run("top")[:2] == (0, "sublet top\n")


def test_an_old_python_is_said_in_one_line(krew):
    assert krew.run("top", OLD="1") == (
        1,
        "",
        "sublet: python3 is older than 3.11; put a newer one first on the PATH\n",
    )
