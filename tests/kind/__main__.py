"""Plays the kind story: `python -m tests.kind [--keep]`, or `make e2e CLUSTERS=kind`. Exit status 0 if every step held.

Whatever was made for it is gone afterwards, also after a failure and Ctrl-C; with `--keep` it stays, and how to be rid of it
is printed.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.harness.telling import Step
from tests.kind import changes, story
from tests.kind.clusters import Clusters
from tests.kind.images import build_database, build_operator
from tests.kind.shell import Missing
from tests.kind.story import Scene
from tests.kind.tools import Tools, prepare

_FAULTS = (AssertionError, Missing, OSError, subprocess.SubprocessError)
STEPS: tuple[tuple[str, Callable[[Scene], str]], ...] = (
    ("images on the nodes", story.load),
    ("helm install", story.install),
    ("onboarding", story.onboard),
    ("claims", story.claim),
    ("a pod at work", story.work),
    ("attacks", story.attack),
    ("helm upgrade and rollback", changes.upgrade),
    ("from SQLite to PostgreSQL", changes.to_postgresql),
    ("the leader is killed", changes.kill_leader),
    ("the node is restarted", changes.restart_node),
    ("sublet verify", changes.verify),
    ("release", changes.release),
    ("usage", changes.usage),
)


def main() -> int:
    """Play all steps; stop at the first that doesn't hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.kind")
    parser.add_argument("--keep", action="store_true", help="leave the clusters running")
    keep = parser.parse_args().keep
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    begun = time.monotonic()
    try:
        with Step("what is used") as step:
            tools = prepare(os.environ)
            step.say(tools.origin)
        with made(tools, keep=keep) as clusters:
            play(clusters)
    except _FAULTS as fault:
        print(f"\nthe kind story failed: {fault}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    print(f"\nevery step held ({time.monotonic() - begun:.0f} s)")
    return 0


@contextmanager
def made(tools: Tools, *, keep: bool) -> Iterator[Clusters]:
    """Yield clusters to be made, and take them down afterwards, with what was started for us."""
    clusters = Clusters(tools, Path(tempfile.mkdtemp(prefix="sublet-kind-")))
    try:
        clusters.require_none()
    except BaseException:
        tools.take_down()
        shutil.rmtree(clusters.folder)
        raise
    try:
        yield clusters
    finally:
        if keep:
            print(_ways_on(clusters))
        else:
            signal.signal(
                signal.SIGINT, signal.SIG_IGN
            )  # a second Ctrl-C would leave clusters behind
            with Step("taken down"):
                clusters.delete()
                tools.take_down()
                shutil.rmtree(clusters.folder)


def play(clusters: Clusters) -> None:
    """Build the images, make the clusters, and play each step; what the operator said last is shown if one fails."""
    with Step("images") as step:
        step.say(build_operator(clusters.tools))
        step.say(build_database(clusters.tools, clusters.folder))
    with Step("clusters") as step:
        clusters.create()
        step.say(clusters.kubectl("hub", "get", "nodes", "-o", "wide"))
    scene = story.scene(clusters)
    for title, tell in STEPS:
        with Step(title) as step:
            try:
                step.say(tell(scene))
            except _FAULTS:
                print(scene.operator.last_words(), file=sys.stderr)
                raise


def _ways_on(clusters: Clusters) -> str:
    tools = clusters.tools
    down = f"\n  {tools.airgap} down" if tools.airgap else ""
    return f"""
It stays. Look around, and then be rid of it:
  export KUBECONFIG={clusters.person}   # contexts hub, west, east
  {clusters.removal()}{down}"""


if __name__ == "__main__":
    sys.exit(main())
