"""What commands read of the hub: one object that can't be read ends nothing for the others."""

from typing import Any

import pytest

from sublet.api.gpuclaim import GpuClaim
from sublet.api.kinds import CLAIMS
from sublet.cli.objects import list_all
from tests.builders.api import as_claim, claim
from tests.builders.restored import on_the_wire


async def test_an_object_that_cant_be_read_is_named_and_left_out(
    capsys: pytest.CaptureFixture[str],
):
    good, odd = on_the_wire(as_claim(claim("good"))), on_the_wire(as_claim(claim("odd")))
    odd["spec"]["schedule"] = {"startTime": "2026-12-01T00:00:00x5Z"}

    class Hub:
        async def get(self, _: str) -> dict[str, Any]:
            return {"items": [odd, good]}

    hub: Any = Hub()
    found = await list_all(hub, CLAIMS, GpuClaim)

    assert [each.metadata.name for each in found] == ["good"]
    said = capsys.readouterr().err
    assert said.startswith("sublet: GpuClaim acme/odd is left out: spec.schedule.startTime")
