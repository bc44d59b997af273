"""Programs that the kind story runs: with an environment of its own, to their end, and with their words if they fail."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple


class Missing(Exception):
    """Something that the story needs isn't here; the message is one line that says what, and what to do."""


@dataclass(frozen=True)
class Shell:
    """Runs programs in one environment."""

    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    def run(self, *command: str, given: str | None = None, seconds: float = 300) -> str:
        """Return what a program prints; AssertionError with its last words if it fails."""
        done = self.attempt(*command, given=given, seconds=seconds)
        words = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        assert done.returncode == 0, f"{' '.join(command)[:200]}: exit status {done.returncode}\n{words}"  # fmt: skip
        return done.stdout

    def works(self, *command: str, seconds: float = 60) -> bool:
        """Say whether a program is there and ends well in time."""
        try:
            return self.attempt(*command, seconds=seconds).returncode == 0
        except (FileNotFoundError, subprocess.TimeoutExpired):
            return False

    def attempt(
        self, *command: str, given: str | None = None, seconds: float = 300
    ) -> "subprocess.CompletedProcess[str]":
        """Run a program to its end, however it ends."""
        return subprocess.run(
            command, env=self.environment, input=given, stdin=None if given else subprocess.DEVNULL,
            capture_output=True, text=True, check=False, timeout=seconds,
        )  # fmt: skip

    def show_errors(self, *command: str) -> str:
        """Return what a program prints; what it says beside that is its progress, for the terminal."""
        done = subprocess.run(
            command, env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{' '.join(command)[:200]}: exit status {done.returncode}"
        return done.stdout

    def begin(self, *command: str, log: Path) -> "Begun":
        """Start a program that goes on beside others; what it prints is in a file."""
        with log.open("wb") as file:
            process = subprocess.Popen(
                command, env=self.environment, stdin=subprocess.DEVNULL,
                stdout=file, stderr=subprocess.STDOUT,
            )  # fmt: skip
        return Begun(" ".join(command), process, log)


class Begun(NamedTuple):
    """A program that was started, and the file with what it says."""

    command: str
    process: "subprocess.Popen[bytes]"
    log: Path


def together(begun: Sequence[Begun], *, seconds: float) -> None:
    """Wait for programs that run side by side; if one fails, the others are ended and its last words raised."""
    try:
        for each in begun:
            status = each.process.wait(seconds)
            words = "\n".join(each.log.read_text(errors="replace").splitlines()[-15:])
            assert status == 0, f"{each.command[:200]}: exit status {status}\n{words}"
    finally:
        for each in begun:
            each.process.kill()
            each.process.wait()
