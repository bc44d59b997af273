"""What must be in what is released, by names alone."""

import tomllib

import yaml

from sublet import __version__
from tests.planes.binaries import ROOT
from tools.release.contents import (
    chart_faults,
    image_faults,
    metadata_faults,
    sdist_faults,
    version_faults,
    wheel_faults,
)

TRACKED = (
    "LICENSE",
    "README.md",
    "charts/sublet/Chart.yaml",
    "charts/sublet/templates/generated/crds.yaml",
    "operator/sublet/__init__.py",
    "operator/sublet/manifests/hub/rbac.yaml",
    "pyproject.toml",
    "tests/unit/test_start.py",
)
INFO = "sublet-1.0.0.dist-info/"
WHEEL = (
    "sublet/__init__.py",
    "sublet/manifests/hub/rbac.yaml",
    *(INFO + x for x in ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")),
)
ROOTED = tuple(f"sublet-1.0.0/{x}" for x in (*TRACKED, "PKG-INFO"))


def test_a_wheel_has_the_whole_package_and_nothing_else():
    assert list(wheel_faults(WHEEL, TRACKED, "1.0.0")) == []

    without = [n for n in WHEEL if not n.endswith("rbac.yaml")]
    assert list(wheel_faults(without, TRACKED, "1.0.0")) == ["wheel: sublet/manifests/hub/rbac.yaml is missing"]  # fmt: skip
    more = (*WHEEL, "tests/unit/test_start.py")
    assert list(wheel_faults(more, TRACKED, "1.0.0")) == ["wheel: tests/unit/test_start.py doesn't belong there"]  # fmt: skip
    unlicensed = [n for n in WHEEL if "LICENSE" not in n]
    assert list(wheel_faults(unlicensed, TRACKED, "1.0.0")) == [f"wheel: {INFO}licenses/LICENSE is missing"]  # fmt: skip


def test_an_sdist_has_what_a_wheel_is_built_of():
    assert list(sdist_faults(ROOTED, TRACKED, "1.0.0")) == []

    without = [n for n in ROOTED if not n.endswith("rbac.yaml")]
    assert list(sdist_faults(without, TRACKED, "1.0.0")) == ["sdist: operator/sublet/manifests/hub/rbac.yaml is missing"]  # fmt: skip
    assert list(sdist_faults((*ROOTED, "evil"), TRACKED, "1.0.0")) == ["sdist: evil is outside sublet-1.0.0/"]  # fmt: skip


def test_a_wheel_says_its_version_and_its_programs():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    programs = "".join(f"{name} = {what}\n" for name, what in project["scripts"].items())

    assert list(metadata_faults("Name: sublet\nVersion: 1.0.0\n", programs, "1.0.0")) == []
    assert len(list(metadata_faults("Version: 0.9.0\n", "", "1.0.0"))) == 1 + len(
        project["scripts"]
    )


def test_a_chart_has_all_its_files():
    names = ["sublet/Chart.yaml"]

    assert list(chart_faults(names, TRACKED)) == ["chart: sublet/templates/generated/crds.yaml is missing"]  # fmt: skip


def test_our_chart_has_the_programs_version():
    chart = yaml.safe_load((ROOT / "charts" / "sublet" / "Chart.yaml").read_text())

    assert list(version_faults(__version__, chart)) == []
    assert len(list(version_faults("9.9.9", chart))) == 2


def test_a_dockerfile_copies_what_is_there():
    text = "FROM x\nCOPY pyproject.toml README.md ./\nCOPY operator operator\nCOPY --from=build /opt /opt\n"

    assert list(image_faults(text, TRACKED)) == []
    assert list(image_faults("COPY --chown=1:1 a.lock \\\n  /src/\n", TRACKED)) == ["Dockerfile: copies a.lock, which isn't in the repository"]  # fmt: skip
