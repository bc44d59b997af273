"""Builds what is released, from a fresh copy of the last commit: wheel, sdist, a wheel of the sdist, chart package."""

import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from tests.planes.binaries import ROOT, find

_BACKEND = (
    "import sys, setuptools.build_meta as b; print(getattr(b, 'build_' + sys.argv[1])(sys.argv[2]))"
)


class BuildError(Exception):
    """Something can't be built; the message ends with what the builder said."""


def copy_of_head(folder: Path) -> Path:
    """Unpack the last commit into a folder."""
    archive = folder / "head.tar"
    _run(["git", "archive", "--format=tar", f"--output={archive}", "HEAD"], ROOT)
    unpack(archive, folder / "head")
    return folder / "head"


def unpack(archive: Path, target: Path) -> None:
    """Unpack a tar file that holds nothing but files and folders inside it."""
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(target, filter="data")
    except tarfile.TarError as error:
        raise BuildError(f"{archive.name} can't be unpacked: {error}") from error


def tracked() -> list[str]:
    """Return the files of the last commit."""
    return _run(["git", "ls-tree", "-r", "--name-only", "HEAD"], ROOT).splitlines()


def dirty() -> list[str]:
    """Return what isn't committed."""
    return _run(["git", "status", "--porcelain"], ROOT).splitlines()


def build(what: str, source: Path, target: Path) -> Path:
    """Build a wheel or an sdist with the locked setuptools, without a network."""
    target.mkdir(parents=True, exist_ok=True)
    said = _run([sys.executable, "-c", _BACKEND, what, str(target)], source)
    return target / said.splitlines()[-1]


def package_chart(source: Path, target: Path) -> Path:
    """Pack the chart with Helm."""
    target.mkdir(parents=True, exist_ok=True)
    _run([str(find("helm")), "package", "charts/sublet", "--destination", str(target)], source)
    (made,) = target.glob("*.tgz")
    return made


def names_in(archive: Path) -> list[str]:
    """Return the files in a wheel, an sdist or a chart package."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as found:
            return [name for name in found.namelist() if not name.endswith("/")]
    with tarfile.open(archive) as tar:
        return [member.name for member in tar.getmembers() if member.isfile()]


def contents_of(wheel: Path) -> dict[str, bytes]:
    """Return name -> bytes of a wheel's files."""
    with zipfile.ZipFile(wheel) as found:
        return {name: found.read(name) for name in found.namelist() if not name.endswith("/")}


def run_from(wheel: Path, folder: Path, program: str) -> str:
    """Run a line of Python with the package of a wheel alone, beside the locked dependencies."""
    for name, data in contents_of(wheel).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return _run([sys.executable, "-P", "-c", program], folder, PYTHONPATH=str(folder))


def _run(command: Sequence[str], where: Path, **environment: str) -> str:
    done = subprocess.run(
        command, cwd=where, env={**os.environ, **environment},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise BuildError(f"{' '.join(command[:3])}: {last[0] if last else done.returncode}")
    return done.stdout
