"""What kind clusters are made with: the public parts, those that somebody names, or those that kind-airgap prepares.

`KIND` says that somebody has everything ready. Without it the public parts are used if they can be had, and else the tool
kind-airgap builds them from packages. It is then ours to take down, unless it was up before. What is missing is said in one
line: a story that can't be told is a failure, never skipped.
"""

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.kind.shell import Missing, Shell
from tests.planes.binaries import ROOT, find

PYTHON_IMAGE = "python:3.11-slim"
OURS = "sublet-"
"""Clusters of this prefix are ours."""


@dataclass(frozen=True)
class Tools:
    """The parts, and the shell in which they are found."""

    shell: Shell
    kind: str
    node_image: str
    """Empty: kind's own."""
    config: Path | None
    python_image: str
    prefix: str
    airgap: Path | None = None
    """The tool to be taken down after us."""

    @property
    def origin(self) -> str:
        """Say in a line what is used."""
        node = self.node_image or "its own node image"
        return f"{self.kind} with {node}; {self.python_image} below the operator's image"

    def take_down(self) -> None:
        """Stop what was started for us."""
        if self.airgap is not None:
            self.shell.run(str(self.airgap), "down", seconds=600)


def prepare(given: Mapping[str, str]) -> Tools:
    """Return the parts that the environment names, that are public, or that kind-airgap makes; Missing says what lacks."""
    shell = _shell(given)
    lacking = _lacking(given, shell)
    if not lacking:
        return _tools(shell)
    if given.get("KIND"):
        raise Missing(f"no kind clusters: {lacking}; KIND is set, so nothing else is tried")
    airgap = _airgap(given)
    if airgap is None:
        where = given.get("KIND_AIRGAP") or "../shared/tools/kind-airgap/kind-airgap"
        raise Missing(f"no kind clusters: {lacking}, and {where} (KIND_AIRGAP), which builds what is needed, isn't there")  # fmt: skip
    return _built(airgap, given)


def _shell(environment: Mapping[str, str]) -> Shell:
    """Return a shell that finds kubectl and Helm, which are built if they are nowhere."""
    folders = (str(find("kubectl").parent), str(find("helm").parent))
    path = os.pathsep.join((environment.get("PATH", os.defpath), *folders))
    return Shell({**environment, "PATH": path})


def _tools(shell: Shell, airgap: Path | None = None) -> Tools:
    said = shell.environment
    config = said.get("KIND_CONFIG")
    return Tools(
        shell=shell,
        kind=said.get("KIND") or "kind",
        node_image=said.get("KIND_NODE_IMAGE", ""),
        config=Path(config) if config else None,
        python_image=said.get("PYTHON_IMAGE") or PYTHON_IMAGE,
        prefix=_prefix(said),
        airgap=airgap,
    )


def _prefix(environment: Mapping[str, str]) -> str:
    """Return what our clusters' names begin with; kind-airgap takes down those that begin with its own."""
    airgap = environment.get("KIND_AIRGAP_PREFIX", "")
    return airgap if airgap.endswith(OURS) else airgap + OURS


def _lacking(given: Mapping[str, str], shell: Shell) -> str:
    """Return why clusters can't be made with what is named or public; empty if they can."""
    kind, image = given.get("KIND") or "kind", given.get("PYTHON_IMAGE") or PYTHON_IMAGE
    if not shell.works(kind, "version"):
        return f"{kind} doesn't run (KIND names another)"
    if not shell.works("docker", "info"):
        return "docker doesn't answer"
    if not (
        shell.works("docker", "image", "inspect", image)
        or shell.works("docker", "pull", "--quiet", image, seconds=180)
    ):
        return f"{image} is neither here nor in a registry that answers (PYTHON_IMAGE names another)"  # fmt: skip
    return ""


def _airgap(given: Mapping[str, str]) -> Path | None:
    named = given.get("KIND_AIRGAP")
    path = Path(named) if named else ROOT.parent / "shared/tools/kind-airgap/kind-airgap"
    return path.resolve() if path.is_file() else None


def _built(airgap: Path, given: Mapping[str, str]) -> Tools:
    """Let kind-airgap prepare everything; its progress goes to the terminal."""
    environment = {"KIND_AIRGAP_PREFIX": OURS, **given}
    was_up = Shell(environment).works(str(airgap), "env")
    print(f"   kind-airgap {'is up' if was_up else 'prepares what is needed (ten minutes with nothing cached)'}", flush=True)  # fmt: skip
    if was_up:
        environment = dict(given)  # the prefix stays as it is
    script = f'exports=$({shlex.quote(str(airgap))} up) && eval "$exports" && env -0'
    try:
        answer = Shell(environment).show_errors("bash", "-c", script)
    except BaseException:
        if not was_up:  # it may have got as far as a running dockerd
            Shell(environment).works(str(airgap), "down", seconds=600)
        raise
    exported = dict(line.split("=", 1) for line in answer.split("\0") if "=" in line)
    return _tools(_shell(exported), None if was_up else airgap)
