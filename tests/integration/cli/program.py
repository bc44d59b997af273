"""The program as a person runs it, a process of its own, with a kubeconfig that has the contexts hub and west.

It is forked from one that has imported everything: by itself it takes more than a second to begin.
"""

import base64
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.harness.stack import NAMESPACE, Stack, person_kubeconfig
from tests.harness.zygote import fork_script
from tests.planes.binaries import find

PROGRAM = Path(sys.executable).parent / "sublet"


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    status: int
    said: str
    complained: str

    def line(self, beginning: str) -> str:
        """Return the only line whose text begins so, without its indentation."""
        found = [s for line in self.said.splitlines() if (s := line.strip()).startswith(beginning)]
        assert len(found) == 1, self
        return found[0]


@dataclass(frozen=True)
class Program:
    """Runs `sublet` against the planes of a stack."""

    stack: Stack
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str) -> Done:
        """Run a command to its end, however it ends."""
        environment = {
            **os.environ,
            "KUBECONFIG": str(self.kubeconfig),
            "PATH": f"{find('kubectl').parent}:{os.environ['PATH']}",
            **self.environment,
        }
        with TemporaryDirectory() as folder:
            said, complained = Path(folder, "said"), Path(folder, "complained")
            status = fork_script(PROGRAM, arguments, environment, said, complained).wait(60)
            return Done(status, said.read_text(), complained.read_text())

    def works(self, *arguments: str) -> Done:
        """Run a command that must work."""
        done = self.run(*arguments)
        assert done.status == 0, done
        assert done.complained == "", done
        return done

    def refuses(self, *arguments: str) -> str:
        """Run a command that must fail, and as a person can bear it; return its one line."""
        done = self.run(*arguments)
        lines = done.complained.splitlines()
        assert done.status == 1, done
        assert len(lines) == 1, done
        assert lines[0].startswith("sublet: "), done
        return lines[0].removeprefix("sublet: ")

    def onboard(self, *options: str, context: str = "west", name: str = "west") -> Done:
        """Onboard a cluster."""
        return self.works("onboard", "--context", context, "--name", name, *options)

    def offboard(self, *options: str, context: str = "west", name: str = "west") -> Done:
        """Offboard a cluster."""
        return self.works("offboard", "--context", context, "--name", name, *options)

    @property
    def kubeconfig(self) -> Path:
        """Return the person's kubeconfig: contexts hub, which is current, and west."""
        path = self.stack.folder / "person.kubeconfig"
        if path.exists():
            return path
        planes = [name for name in ("hub", "west") if name in self.stack.running.names]
        return person_kubeconfig(self.stack, *planes)


def operator_kubeconfig_for(stack: Stack, name: str, path: Path) -> Path:
    """Write the operator's kubeconfig for a leased cluster, as the hub holds it, and return its path."""
    secret = stack.get("hub", "secret", "-n", NAMESPACE, name)
    path.write_bytes(base64.b64decode(secret["data"]["kubeconfig"]))
    return path


def edited(draft: str) -> str:
    """Return the draft of a lease as somebody leaves it who takes every example for good."""
    return draft[draft.index("apiVersion:") :].replace("EDIT-", "")
