"""What must be in a wheel and an sdist, and what must not. Pure: names in, faults out."""

from collections.abc import Collection, Iterator
from typing import Final

SOURCE: Final = "operator/"
_SCRIPTS: Final = (
    "sublet = sublet.cli:main",
    "kubectl-sublet = sublet.cli:main",
    "kubectl_complete-sublet = sublet.cli:complete",
)


def wheel_faults(names: Collection[str], tracked: Collection[str], version: str) -> Iterator[str]:
    """Yield what is wrong with a wheel's names, given the files that git knows: all of the package, and nothing else."""
    info = f"sublet-{version}.dist-info/"
    wanted = {path.removeprefix(SOURCE) for path in tracked if path.startswith(SOURCE)}
    inside = {name for name in names if not name.startswith(info)}
    yield from (f"wheel: {name} is missing" for name in sorted(wanted - inside))
    yield from (f"wheel: {name} doesn't belong there" for name in sorted(inside - wanted))
    needed = ("METADATA", "RECORD", "entry_points.txt", "licenses/LICENSE")
    yield from (f"wheel: {info}{each} is missing" for each in needed if info + each not in names)


def sdist_faults(names: Collection[str], tracked: Collection[str], version: str) -> Iterator[str]:
    """Yield what is missing of an sdist: whatever a wheel is built of."""
    root = f"sublet-{version}/"
    wanted = {path for path in tracked if path.startswith(SOURCE)}
    wanted |= {"pyproject.toml", "README.md", "LICENSE"}
    yield from (f"sdist: {name} is missing" for name in sorted(wanted) if root + name not in names)
    yield from (f"sdist: {name} is outside {root}" for name in sorted(names) if not name.startswith(root))  # fmt: skip


def metadata_faults(metadata: str, entry_points: str, version: str) -> Iterator[str]:
    """Yield what is wrong with what a wheel says of itself."""
    if f"\nVersion: {version}\n" not in metadata:
        yield f"wheel: its metadata doesn't say version {version}"
    yield from (f"wheel: has no program '{each}'" for each in _SCRIPTS if each not in entry_points)


def chart_faults(names: Collection[str], tracked: Collection[str]) -> Iterator[str]:
    """Yield what is missing of a packed chart."""
    wanted = {p.removeprefix("charts/") for p in tracked if p.startswith("charts/sublet/")}
    yield from (f"chart: {name} is missing" for name in sorted(wanted - set(names)))


def version_faults(version: str, chart: dict[str, object]) -> Iterator[str]:
    """Yield where the chart names another version than the program."""
    for field in ("version", "appVersion"):
        if chart.get(field) != version:
            yield f"charts/sublet/Chart.yaml: {field} is {chart.get(field)}, and the program is {version}"


def image_faults(dockerfile: str, tracked: Collection[str]) -> Iterator[str]:
    """Yield what a Dockerfile copies from the repository and isn't there."""
    for line in dockerfile.replace("\\\n", " ").splitlines():
        words = line.split()
        if words[:1] != ["COPY"] or any(word.startswith("--from=") for word in words):
            continue
        for source in [w for w in words[1:-1] if not w.startswith("--")]:
            path = source.removeprefix("./").rstrip("/")
            if not any(t == path or t.startswith(f"{path}/") for t in tracked):
                yield f"Dockerfile: copies {source}, which isn't in the repository"
