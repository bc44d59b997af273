"""Helm over the project's own chart: what it renders, and what it says when it refuses."""

import subprocess
from functools import cache
from typing import Any

import yaml

from tests.planes.binaries import ROOT, find

CHART = ROOT / "charts" / "sublet"
NAMESPACE = "gpu-desk"
MUTATING = "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"


@cache
def rendered(*values: str, mutating: bool = True) -> tuple[dict[str, Any], ...]:
    """Return the objects of a release with such values, as `--set` takes them; AssertionError with what Helm says."""
    ran = _template(values, mutating=mutating)
    assert ran.returncode == 0, ran.stderr
    return tuple(x for x in yaml.safe_load_all(ran.stdout) if x)


def refusal(*values: str) -> str:
    """Return what Helm says to values that the chart refuses."""
    ran = _template(values)
    assert ran.returncode != 0, "the chart takes it"
    return ran.stderr


def helm(*args: str) -> str:
    """Return what Helm prints; AssertionError with what it says if it isn't content."""
    ran = subprocess.run([find("helm"), *args], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def _template(
    values: tuple[str, ...], *, mutating: bool = True
) -> "subprocess.CompletedProcess[str]":
    command = [str(find("helm")), "template", "sublet", str(CHART), "-n", NAMESPACE]
    for each in values:
        command += ["--set", each]
    if mutating:
        command += ["--api-versions", MUTATING]
    return subprocess.run(command, capture_output=True, text=True, check=False)
