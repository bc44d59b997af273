"""Finding a plane's processes from outside, to stop and wake them."""

from pathlib import Path

import yaml

from tests.harness.stack import Stack


def api_server_pid(stack: Stack, plane: str) -> int:
    """Return the process id of a plane's API server, by the port in its kubeconfig."""
    config = yaml.safe_load(stack.running.kubeconfig(plane).read_text())
    port = config["clusters"][0]["cluster"]["server"].rsplit(":", 1)[1]
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if b"kube-apiserver" in command and f"--secure-port={port}".encode() in command:
            return int(entry.name)
    raise AssertionError(f"no API server of {plane}")
