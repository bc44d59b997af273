"""A hub with Sublet installed, and west as its landlord hands it over: nothing of Sublet is there."""

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.harness.stack import Stack, start_stack
from tests.integration.cli.program import Program
from tests.planes import planes


@pytest.fixture(scope="module")
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    name = f"{request.module.__name__.rsplit('.', 1)[-1]}-{os.getpid()}"
    with ThreadPoolExecutor(1) as aside:
        starting = aside.submit(planes.start, f"{name}-west", ["west"], keep=False)
        hub = start_stack(name, leased=())
        west = starting.result()
        shutil.copy(west.kubeconfig("west"), hub.running.kubeconfig("west"))
        yield hub
        stopping = aside.submit(planes.stop, west.folder.name)
        hub.stop()
        stopping.result()


@pytest.fixture(scope="module")
def sublet(stack: Stack) -> Program:
    return Program(stack)
