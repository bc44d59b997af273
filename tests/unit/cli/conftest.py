"""The command line on a hub of a test's own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes.aio.config import kube_config
from typer.testing import CliRunner

from sublet.cli.main import app
from tests.harness.small_hub import SmallHub, small_hub, write_kubeconfig


class Person:
    """Somebody at a terminal, with a kubeconfig that leads to the hub."""

    def __init__(self, hub: SmallHub, kubeconfig: str) -> None:
        self.hub, self._kubeconfig = hub, kubeconfig

    def leads_to(self, url: str) -> None:
        """Let the kubeconfig lead to another address."""
        path = Path(self._kubeconfig)
        path.write_text(path.read_text().replace(self.hub.url, url))

    def run(self, *arguments: Any) -> tuple[int, str, str]:
        """Return exit status, what was printed, and what was said on standard error."""
        done = CliRunner().invoke(app, [str(a) for a in arguments], env={"KUBECONFIG": self._kubeconfig, "COLUMNS": "100"})  # fmt: skip
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def hub() -> Iterator[SmallHub]:
    with small_hub() as running:
        yield running


@pytest.fixture
def person(hub, tmp_path, monkeypatch) -> Person:
    path = str(write_kubeconfig(hub, tmp_path))
    # the library reads KUBECONFIG when it is imported
    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", path)
    return Person(hub, path)
