"""The kubectl plugin as people wait for it: whole processes, from the shell to the last line, for 1,000 claims.

The hub is a small HTTPS server in this process. Beside it a bare Python process that reads the same collections over HTTPS
and parses them as JSON: what no command of that kind can be faster than.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.results import Row, most
from tests.builders.api import lease
from tests.builders.stored import bound_claim
from tests.harness.small_hub import ROOT, SmallHub, small_hub, write_kubeconfig

CLAIMS, LEASES, TURNS = 1_000, 10, 5
BUDGET_SECONDS = 1.0
_PROGRAM = "import sys; sys.argv[0] = 'sublet'; from sublet.cli import main; main()"
_BARE = """
import json, ssl, sys, urllib.request
context = ssl.create_default_context(cadata=sys.argv[1])
for url in sys.argv[2:]:
    with urllib.request.urlopen(url, context=context) as answer:
        print(len(json.load(answer)["items"]))
"""


def measure() -> list[Row]:
    """Return the rows."""
    with small_hub(tls=True) as hub, tempfile.TemporaryDirectory() as folder:
        _fill(hub)
        place = {"KUBECONFIG": str(write_kubeconfig(hub, Path(folder)))}
        kinds = [f"{hub.url}{ROOT}/{plural}" for plural in ("gpuleases", "gpuclaims")]
        bare = _timed([_BARE, hub.authority, *kinds], place)
        top = _timed([_PROGRAM, "top"], place)
        get = _timed([_PROGRAM, "get", "claims"], place)
        help_ = _timed([_PROGRAM, "--help"], place)
    what = f"{CLAIMS:,} claims, {LEASES} leases; median of {TURNS} processes"
    return [
        _row("plugin, sublet top", top, f"{what}; limit: the budget"),
        _row("plugin, sublet get claims", get, f"{CLAIMS:,} claims; limit: the budget"),
        _row("plugin, sublet --help", help_, "asks no hub"),
        Row("plugin, bare Python", bare[0], "s", None, f"the same reads and nothing else; {bare[1]:.2f} s of CPU"),
    ]  # fmt: skip


def _row(name: str, took: tuple[float, float], note: str) -> Row:
    return Row(name, took[0], "s", most(BUDGET_SECONDS), f"{note}; {took[1]:.2f} s of CPU")


def _fill(hub: SmallHub) -> None:
    for each in range(LEASES):
        hub.put(lease(f"lease-{each}"))
    for each in range(CLAIMS):
        hub.put(bound_claim(f"claim-{each:04}"))


def _timed(words: list[str], place: dict[str, str]) -> tuple[float, float]:
    """Return the medians of wall and CPU seconds; the first process only warms files."""
    found = [_once(words, place) for _ in range(TURNS + 1)][1:]
    return statistics.median(w for w, _ in found), statistics.median(c for _, c in found)


def _once(words: list[str], place: dict[str, str]) -> tuple[float, float]:
    before, began = _cpu(), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", *words],
        env={**os.environ, **place},
        capture_output=True,
        text=True,
        check=True,
    )
    took = time.perf_counter() - began
    if not done.stdout:
        raise AssertionError("it printed nothing")
    return took, _cpu() - before


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
