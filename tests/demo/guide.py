"""README's "Ten minutes", played: each command, as it is typed there, must print what stands there.

What differs from one run to the next, such as instants and UIDs, is compared by its kind alone.
"""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.builders.markdown import blocks
from tests.planes.binaries import ROOT

PAGE: Final = "README.md"
CUT: Final = "…"
"""Stands on a last line if the page shows only the beginning of what is printed."""
_VARIES: Final = (
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z"), "INSTANT"),
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "UID"),
    (re.compile(r"\b(\d+\.){3}\d+\b"), "ADDRESS"),
    (re.compile(r"\bh[12]00-\d\b"), "NODE"),
    (re.compile(r"\b\d+s\b"), "AGE"),
    (re.compile(r"\b\d+(?= of them changed)"), "COUNT"),
    (re.compile(r"\b\d+\.\d{6}\b"), "GPU-HOURS"),
    (re.compile(r"\b\d+\.\d\d(?= +USD$)", re.MULTILINE), "CHARGE"),
    (re.compile(r"\b\d{3,}\b"), "GPU-MILLISECONDS"),
)


@dataclass(frozen=True, slots=True)
class Shown:
    """A command, and what it prints."""

    command: str
    printed: str

    @property
    def text(self) -> str:
        """Return both as a page shows them."""
        return f"$ {self.command}\n{self.printed}\n"


class Guide:
    """Plays the page's blocks on running clusters; `settings`: the file that gives a terminal what it needs."""

    def __init__(self, settings: Path, *, is_draft: bool = False) -> None:
        self._settings, self._is_draft = settings, is_draft
        self._blocks = [b.text for b in blocks(PAGE) if b.language == "console"]
        self._printed: dict[str, str] = {}
        """block as it is on the page -> as it was printed"""

    def play(self, number: int) -> str:
        """Play a block and return what is seen; AssertionError if it isn't what the page shows, unless that is a draft."""
        block, seen = self._blocks[number], []
        for shown in commands_of(block):
            found = self._type(shown)
            assert self._is_draft or alike(shown.printed, found.printed), (
                f"{PAGE} isn't up to date; `.venv/bin/python -m tests.demo --write` mends it\n{shown.text}now:\n{found.text}"
            )
            seen.append(found.text)
        self._printed[block] = "".join(seen)
        return self._printed[block]

    @property
    def left(self) -> list[str]:
        """Return the blocks that weren't played."""
        return [block for block in self._blocks if block not in self._printed]

    def write(self) -> None:
        """Write what was printed into the page."""
        page = ROOT / PAGE
        text = page.read_text()
        for block, printed in self._printed.items():
            text = text.replace(block, printed)
        page.write_text(text)

    def _type(self, shown: Shown) -> Shown:
        done = subprocess.run(
            ["sh", "-c", f". {self._settings}; {shown.command}"],
            cwd=ROOT, env={**os.environ, "COLUMNS": "140"}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        is_refused = shown.printed.startswith("Error")
        assert bool(done.returncode) is is_refused, f"{shown.command}: {done.stdout}{done.stderr}"
        printed = done.stderr if is_refused else done.stdout
        return Shown(shown.command, as_shown(printed, shown.printed))


def commands_of(block: str) -> list[Shown]:
    """Return the commands of a block, each with what it prints."""
    parts = (part.partition("\n") for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:])
    return [Shown(command, printed.rstrip()) for command, _, printed in parts]


def as_shown(printed: str, before: str) -> str:
    """Return what was printed as the page shows it: without spaces at lines' ends, and no longer than it was if that is cut."""
    lines = [line.rstrip() for line in printed.rstrip().splitlines()]
    shown = before.splitlines()
    return "\n".join([*lines[: len(shown) - 1], CUT] if shown[-1:] == [CUT] else lines)


def alike(shown: str, printed: str) -> bool:
    """Say whether two outputs have the same lines, in whatever order, but for what differs from run to run."""
    return _kinds(shown) == _kinds(printed)


def _kinds(text: str) -> list[str]:
    for pattern, kind in _VARIES:
        text = pattern.sub(kind, text)
    return sorted(" ".join(line.split()) for line in text.splitlines())
