"""A newer version of the operator: this one's source with lines that a later release might have, in a folder of its own.

With that folder as PYTHONPATH any module runs by it, `python -m sublet` as well as `python -m tests.harness.tracing`. It adds
fields at every depth of a status, conditions of claims and leases, and words for what the shipped version has another word for.
"""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import yaml

from tests.planes.binaries import ROOT

_TEXT: Final = "Annotated[str | None, Field(max_length=63)] = None"
Edits = tuple[tuple[str, str, str], ...]
"""(module, line of it, what the newer version has there)"""
MODELS: Final[Edits] = (
    (
        "api/relocation.py",
        '    COMPLETED = "Completed"\n',
        '    COMPLETED = "Expired"\n    FORMERLY = "Completed"\n',
    ),
    (
        "api/relocation.py",
        "    home: Sequence | None = None\n",
        f'    rack: {_TEXT}\n    """Where it stands."""\n    home: Sequence | None = None\n',
    ),
    (
        "api/gpuclaim.py",
        "    cancellation: CancellationTerms | None = None\n",
        f'    seal: {_TEXT}\n    """Of what was agreed."""\n    cancellation: CancellationTerms | None = None\n',
    ),
    (
        "api/gpuclaim.py",
        "    lost_time: Instant | None = None\n",
        f'    portal: {_TEXT}\n    """Another way in."""\n    lost_time: Instant | None = None\n',
    ),
    (
        "api/gpuclaim.py",
        "    origin: Origin | None = None\n",
        '    attested_time: Instant | None = None\n    """When it was."""\n    origin: Origin | None = None\n',
    ),
    (
        "api/gpulease.py",
        "    last_seen_time: Instant | None = None\n",
        f'    power_feed: {_TEXT}\n    """Its feed."""\n    last_seen_time: Instant | None = None\n',
    ),
)
"""Fields at every depth, and another word for the end that a claim chose itself."""
_BOUND: Final = '"Bound": (Status.TRUE, "Bound")},\n        update={**_NOT_PENDING,'
DEEDS: Final[Edits] = (
    ("book/placement.py", "node_uid=self.node.uid,\n", 'node_uid=self.node.uid, rack="r1",\n'),
    ("binder/access.py", "secret_name=name,", 'secret_name=name, portal="p1",'),
    (
        "api/claim_status.py",
        'update={"bound_time": bound_ms})',
        'update={"bound_time": bound_ms, "seal": "s1"})',
    ),
    (
        "api/claim_status.py",
        _BOUND,
        _BOUND.replace("}", ', "Attested": (Status.TRUE, "Seen")}') + ' "attested_time": bound_ms,',
    ),
    (
        "fleet/conditions.py",
        '        "ClockSynced": _clock(facts),\n',
        '        "ClockSynced": _clock(facts),\n        "Powered": (Status.TRUE, "Fed", "the feed is on"),\n',
    ),
    (
        "fleet/conditions.py",
        '            "inventory": counts,\n',
        '            "inventory": counts,\n            "power_feed": "A",\n',
    ),
)
"""Where it writes them, and a condition more of claims and leases."""
WORDS: Final[Edits] = (
    ("fleet/conditions.py", '"the cluster answers")', '"the cluster answers to us")'),
    ("book/reasons.py", 'else "none is free"', 'else "no GPU is free"'),
)
"""What it tells otherwise: two versions that both write undo each other's words."""


@dataclass(frozen=True)
class Newer:
    """A newer version in a folder."""

    folder: Path

    @property
    def settings(self) -> dict[str, str]:
        """Return what an operator's process needs to be of this version; it must be a new interpreter."""
        return {"PYTHONPATH": f"{self.folder}:{ROOT}"}

    @cached_property
    def crds(self) -> list[dict[str, Any]]:
        """Its CRDs."""
        folder = self.folder / "crds"
        subprocess.run(
            [sys.executable, "-m", "sublet.crdgen", str(folder)],
            env=self.settings, check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        return crds_in(folder)


def crds_in(folder: Path) -> list[dict[str, Any]]:
    """Return the CRDs of a folder."""
    return [yaml.safe_load(path.read_text()) for path in sorted(folder.glob("*.yaml"))]


def write_newer(folder: Path, *edits: Edits) -> Newer:
    """Write a newer version into a folder; AssertionError if a line isn't there any more."""
    package = folder / "sublet"
    shutil.copytree(ROOT / "operator" / "sublet", package)
    for module, line, text in (each for some in (MODELS, DEEDS, *edits) for each in some):
        source = (package / module).read_text()
        assert source.count(line) == 1, f"{module} has {source.count(line)} times: {line}"
        (package / module).write_text(source.replace(line, text))
    return Newer(folder)
