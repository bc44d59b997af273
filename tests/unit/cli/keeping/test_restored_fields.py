"""A restore onto a hub whose CRDs are older than the backup: what they drop is said, and is there once they are newer."""

from typing import Any

import pytest

from sublet.api.times import Millis, format_instant
from sublet.cli.keeping.archive import Archive
from sublet.cli.keeping.judgement import Step, judge
from sublet.cli.keeping.restore import look, restore
from sublet.kube.errors import NotFound
from tests.builders.api import NOW, uid_of
from tests.builders.moves import leased, running
from tests.builders.restored import Body, on_the_wire, restored

BOUND = on_the_wire(running(leased("west")))


class OlderHub:
    """An empty hub that knows all fields of a claim but these."""

    def __init__(self, *unknown: str) -> None:
        self.live: Body | None = None
        self.unknown = set(unknown)

    async def get(self, path: str) -> Body:
        if self.live is None:
            raise NotFound(404, "NotFound", path, {"name": "train"})
        return self.live

    async def create(self, _: str, body: Body) -> Body:
        meta = {**body["metadata"], "uid": uid_of("new")}
        self.live = self._pruned({**body, "metadata": meta}, "")
        return self.live

    async def replace(self, path: str, body: Body) -> Body:
        assert self.live is not None
        part = "status" if path.endswith("/status") else "spec"
        self.live = self._pruned({**self.live, part: body[part]}, "")
        return self.live

    def _pruned(self, value: Any, at: str) -> Any:
        if isinstance(value, list):
            return [self._pruned(each, f"{at}[]") for each in value]
        if not isinstance(value, dict):
            return value
        under = {k: f"{at}.{k}".removeprefix(".") for k in value}
        known = {k: v for k, v in value.items() if under[k] not in self.unknown}
        return {k: self._pruned(v, under[k]) for k, v in known.items()}


async def restored_onto(hub: Any) -> Step:
    archive = Archive("hub", Millis(NOW), None, (), (BOUND,))
    (order,) = await look(hub, archive)
    await restore(hub, archive, [order], agreed=False)
    return order.step


@pytest.mark.parametrize(
    "field", ["spec.gpus", "status.allocation", "status.allocation.placements[].node"]
)
async def test_what_the_hub_drops_is_said_and_restored_once_its_crds_are_newer(
    field: str, capsys: pytest.CaptureFixture[str]
):
    hub = OlderHub(field)
    assert await restored_onto(hub) is Step.CREATE
    said = capsys.readouterr().err
    assert f"GpuClaim acme/train: the hub's CRDs don't know {field}, and drop it: apply" in said

    hub.unknown.clear()
    assert await restored_onto(hub) is Step.REFRESH
    assert capsys.readouterr().err == ""
    assert hub.live is not None
    assert hub.live["spec"] == BOUND["spec"]
    assert hub.live["status"]["allocation"] == BOUND["status"]["allocation"]
    assert await restored_onto(hub) is Step.KEEP


def test_a_persons_word_that_isnt_restored_isnt_missed():
    said = {**BOUND, "spec": {**BOUND["spec"], "forceRelease": {"claimUID": "old", "by": "ann"}}}

    assert judge(said, restored(BOUND), format_instant(NOW)) is Step.KEEP
