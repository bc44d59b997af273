"""Findings: one thing that was found in a cluster, how bad it is, and what to do about it."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from sublet.cli.lines import one_line
from sublet.cli.problems import Problem


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    UNKNOWN = "unknown"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found."""

    level: Level
    text: str


def ok(text: str) -> Finding:
    """Return something that is as it should be."""
    return Finding(Level.OK, text)


def unknown(text: str) -> Finding:
    """Return something that can't be seen from here and that somebody should find out."""
    return Finding(Level.UNKNOWN, text)


def warning(text: str) -> Finding:
    """Return something that costs money or comfort, but stops nothing."""
    return Finding(Level.WARNING, text)


def error(text: str) -> Finding:
    """Return something that must be mended before GPUs are sold."""
    return Finding(Level.ERROR, text)


def show(findings: Iterable[Finding]) -> bool:
    """Print findings, one line each; return whether all may stay as they are."""
    good = True
    for finding in findings:
        say(finding.level, finding.text)
        good = good and finding.level is not Level.ERROR
    return good


def show_or_stop(findings: Iterable[Finding]) -> None:
    """Print findings; Problem if one of them must be mended first."""
    if not show(findings):
        raise Problem("mend the errors above and run it again; every step may be repeated")


def say(word: str, text: str) -> None:
    """Print one line of a command that works step by step."""
    print(f"  {word:<9} {one_line(' '.join(text.split()))}", flush=True)
