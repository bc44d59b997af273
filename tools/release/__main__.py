"""`python -m tools.release`: check a release, print each fault on a line of its own, exit 1 if there is any."""

import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import yaml

from sublet import __version__
from tools import site
from tools.release import changelog, contents
from tools.release.build import (
    BuildError,
    build,
    contents_of,
    copy_of_head,
    dirty,
    names_in,
    package_chart,
    run_from,
    tracked,
    unpack,
)

_SMOKE = """
import os, sublet
from sublet.manifests.render import HubOptions, LeasedOptions, hub, leased_cluster
print(sublet.__version__, len(hub(HubOptions())) > 10, len(leased_cluster(LeasedOptions())) > 10)
print(os.path.realpath(sublet.__file__).startswith(os.path.realpath(os.getcwd())))
"""
"""What is run with the wheel's files alone: the package is that one, and finds its own manifests."""


def main() -> int:
    """Check everything; return the exit status."""
    try:
        return _check()
    except BuildError as error:
        print(f"the release can't be checked: {error}", file=sys.stderr)
        return 2


def _check() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        steps: list[tuple[str, Callable[[Path], Iterator[str]]]] = [
            ("committed", lambda _: _committed()),
            ("versions", lambda _: _versions()),
            ("wheel and sdist", _packages),
            ("chart", _chart),
            ("image inputs", lambda _: _image()),
            ("site", _site),
        ]
        head = copy_of_head(folder)
        count = 0
        for title, step in steps:
            try:
                found = list(step(head))
            except BuildError as error:
                found = [str(error)]
            print(f"  {'faulty' if found else 'ok':9} {title}", flush=True)
            for fault in found:
                print(f"            {fault}")
            count += len(found)
    print(f"{count} faults" if count else f"version {__version__} can be released")
    return 1 if count else 0


def _committed() -> Iterator[str]:
    yield from (f"not committed: {line[3:]}" for line in dirty())


def _versions() -> Iterator[str]:
    if changelog.parse(__version__) is None:
        yield f"operator/sublet/__init__.py: {__version__} isn't a version of three numbers"
    chart = yaml.safe_load(Path("charts/sublet/Chart.yaml").read_text())
    yield from contents.version_faults(__version__, chart)
    yield from changelog.faults(Path("CHANGELOG.md").read_text(), __version__)


def _packages(head: Path) -> Iterator[str]:
    files, target = tracked(), head.parent / "dist"
    sdist, wheel = build("sdist", head, target), build("wheel", head, target)
    yield from contents.sdist_faults(names_in(sdist), files, __version__)
    yield from contents.wheel_faults(names_in(wheel), files, __version__)
    inside = contents_of(wheel)
    info = f"sublet-{__version__}.dist-info/"
    metadata, programs = (
        inside.get(info + name, b"").decode() for name in ("METADATA", "entry_points.txt")
    )
    yield from contents.metadata_faults(metadata, programs, __version__)
    unpack(sdist, head.parent / "again")
    again = build("wheel", head.parent / "again" / f"sublet-{__version__}", head.parent / "dist2")
    if contents_of(again) != inside:
        yield "sdist: a wheel that is built of it differs from the repository's"
    alone = head.parent / "alone"
    if run_from(wheel, alone, _SMOKE).split() != [__version__, "True", "True", "True"]:
        yield "wheel: the package doesn't find its own manifests"


def _chart(head: Path) -> Iterator[str]:
    made = package_chart(head, head.parent / "chart")
    if made.name != f"sublet-{__version__}.tgz":
        yield f"chart: is packed as {made.name}"
    yield from contents.chart_faults(names_in(made), tracked())


def _image() -> Iterator[str]:
    path = Path("Dockerfile")
    if not path.exists():
        yield "Dockerfile: isn't there"
        return
    yield from contents.image_faults(path.read_text(), tracked())


def _site(head: Path) -> Iterator[str]:
    done = site.build(head.parent / "site")
    if done.returncode or done.stderr:
        yield from (line for line in (done.stdout + done.stderr).splitlines() if line.strip())


if __name__ == "__main__":
    sys.exit(main())
