"""The parts of the bench, by name; each is imported where it is measured."""

import importlib

from tests.bench.results import Row

PARTS = (
    "pure",
    "closing",
    "focus",
    "ledger",
    "scrape",
    "openb",
    "plugin",
    "planes",
    "clusters",
    "dark",
    "handover",
    "revocation",
    "restart",
)
"""Modules of this package, in the order in which they run."""


def measure(name: str) -> list[Row]:
    """Measure one part and return its rows."""
    found: list[Row] = importlib.import_module(f"tests.bench.{name}").measure()
    return found
