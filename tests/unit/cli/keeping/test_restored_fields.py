"""A restore onto a hub whose CRDs are older than the backup: what they drop is said, and can be there once they are newer."""

from typing import Any

import pytest

from sublet.api.times import Millis, format_instant
from sublet.cli.keeping.archive import Archive
from sublet.cli.keeping.judgement import Step, judge
from sublet.cli.keeping.restore import look, restore, show
from sublet.cli.problems import Problem
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


async def restored_onto(hub: Any, taken_ms: int = NOW, *, agreed: bool = False) -> Step:
    archive = Archive("hub", Millis(taken_ms), None, (), (BOUND,))
    (order,) = await look(hub, archive)
    show([order])
    await restore(hub, archive, [order], agreed=agreed)
    return order.step


async def held_by(hub: Any, *unknown: str) -> Body:
    """Restore the backup; return what the hub has then, as its CRDs are."""
    hub.unknown = set(unknown)
    await restored_onto(hub)
    assert hub.live is not None
    live: Body = hub.live
    return live


@pytest.mark.parametrize(
    "field", ["spec.gpus", "status.allocation", "status.allocation.placements[].node"]
)
async def test_what_the_hub_drops_is_said(field: str, capsys: pytest.CaptureFixture[str]):
    await held_by(OlderHub(), field)

    said = capsys.readouterr().err
    assert f"GpuClaim acme/train: the hub's CRDs don't know {field}, and drop it: apply" in said


@pytest.mark.parametrize("field", ["status.allocation", "status.allocation.placements[].node"])
async def test_what_was_dropped_of_a_status_is_restored_once_the_crds_are_newer(field: str):
    hub = OlderHub()
    await held_by(hub, field)
    hub.unknown.clear()

    assert await restored_onto(hub) is Step.REFRESH
    assert hub.live is not None
    assert hub.live["status"]["allocation"] == BOUND["status"]["allocation"]
    assert await restored_onto(hub) is Step.KEEP


async def test_what_was_dropped_of_a_spec_is_a_persons_to_put_in_and_named_until_it_is(
    capsys: pytest.CaptureFixture[str],
):
    hub = OlderHub()
    held = await held_by(hub, "spec.gpus")
    hub.unknown.clear()

    assert await restored_onto(hub) is Step.KEEP
    assert hub.live == held
    assert "stays as it is; its spec stays, and differs in spec.gpus" in capsys.readouterr().out


@pytest.mark.parametrize("unknown", [(), ("status.allocation.hostShareNoted",)])
async def test_a_spec_that_was_changed_since_the_restore_is_left_alone_by_the_next_one(
    unknown: tuple[str, ...],
):
    hub = OlderHub()
    held = await held_by(hub, *unknown)
    # taken out, changed, and put in
    spec = {k: v for k, v in held["spec"].items() if k != "topology"}
    spec = {**spec, "tags": {"team": "b"}, "maxDurationSeconds": 3_600}
    meta = {**held["metadata"], "generation": 2}
    hub.live = {**held, "spec": spec, "metadata": meta}
    await restored_onto(hub, agreed=True)

    assert hub.live["spec"] == spec


async def test_a_newer_backup_changes_a_spec_with_a_yes_alone(capsys: pytest.CaptureFixture[str]):
    hub = OlderHub()
    held = await held_by(hub)
    hub.live = {**held, "spec": {**held["spec"], "tags": {"team": "b"}}}
    with pytest.raises(
        Problem, match="1 object differing from the backup, and nothing was written"
    ):
        await restored_onto(hub, taken_ms=NOW + 1_000)
    assert hub.live["spec"]["tags"] == {"team": "b"}

    assert await restored_onto(hub, taken_ms=NOW + 1_000, agreed=True) is Step.REFRESH
    assert "its spec changes in spec.tags" in capsys.readouterr().out
    assert hub.live["spec"] == BOUND["spec"]


def test_a_persons_word_that_isnt_restored_isnt_missed():
    said = {**BOUND, "spec": {**BOUND["spec"], "forceRelease": {"claimUID": "old", "by": "ann"}}}

    assert judge(said, restored(BOUND), format_instant(NOW)) is Step.KEEP
