"""A hub alone: what these tests ask is asked of its API server, no leased cluster takes part."""

from collections.abc import Iterator

import pytest

from tests.builders.api import claim
from tests.harness.shared import borrow_stack
from tests.harness.stack import Stack
from tests.harness.waiting import wait_for


@pytest.fixture(scope="module")
def hub(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """The hub of the module's own, installed, with the namespace of the builders' claims."""
    running = borrow_stack(request.module.__name__.rsplit(".", 1)[-1], leased=())
    try:
        running.kubectl("hub", "create", "namespace", "acme")
        running.apply("hub", claim("probe"))
        wait_for("the validating policies act", lambda: _is_guarded(running))
        yield running
    finally:
        running.stop()


def _is_guarded(hub: Stack) -> bool:
    mark = ("annotate", "gpuclaim", "-n", "acme", "probe", "sublet.dev/mark=x", "--dry-run=server")
    return "only the sublet operator" in hub.kubectl("hub", *mark, check=False)
