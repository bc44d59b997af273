"""A backup's spec that the hub's rules don't take any more: a person puts it right, and says for which backup."""

from typing import Any

import pytest

from sublet.api.origin import RESTORED
from sublet.api.times import Millis, format_instant
from sublet.cli.keeping.archive import Archive
from sublet.cli.keeping.judgement import SPEC_AS_OF, Step, judge
from sublet.cli.keeping.restore import _halfway_status, _newborn, look, restore, show
from sublet.cli.problems import Problem
from sublet.kube.errors import Forbidden, Invalid
from tests.builders.api import NOW, as_claim, as_class, as_lease, gpu_class, lease
from tests.builders.restored import adopted, on_the_wire, restored
from tests.unit.cli.keeping.test_restore import Hub


class StricterHub(Hub):
    """A hub whose rules don't take the backup's spec any more; it keeps statuses."""

    refusal: Exception = Invalid(422, "Invalid", "deniedCIDRs[0]: must be a network")

    async def replace(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if not path.endswith("/status"):
            raise self.refusal
        self.live = await super().replace(path, {**(self.live or {}), **body})
        return self.live


def lease_denying(network: str, **meta: Any) -> dict[str, Any]:
    body = on_the_wire(as_lease(lease(tenantAccess={"deniedCIDRs": [network]})), "GpuLease")
    return {**body, "metadata": {**body["metadata"], **meta}}


def unmade(body: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in body.items() if k != "status"}


def put_right(body: dict[str, Any], taken_ms: int = NOW, **meta: Any) -> dict[str, Any]:
    """Return an object on which a person said that its spec stands for that of a backup."""
    word = {SPEC_AS_OF: format_instant(Millis(taken_ms))}
    annotations = {**body["metadata"].get("annotations", {}), **word}
    return {**body, "metadata": {**body["metadata"], **meta, "annotations": annotations}}


OLDER = lease_denying("10.0.0.0/33", generation=2)
HAND_MADE = unmade(put_right(restored(lease_denying("10.0.0.0/8"))))
REWOUND = lease_denying("10.0.0.0/8", generation=1)
DIFFERS = "its spec stays, and differs in spec.tenantAccess.deniedCIDRs"


def of(*saved: dict[str, Any], taken_ms: int = NOW) -> Archive:
    return Archive("hub", Millis(taken_ms), None, (), saved)


async def restored_over(hub: Any, archive: Archive, *, agreed: bool = False) -> Step:
    """Restore the backup's one object; return what was judged."""
    (order,) = await look(hub, archive)
    show([order])
    await restore(hub, archive, [order], agreed=agreed)
    return order.step


def adopted_says(body: dict[str, Any]) -> str | None:
    conditions = body["status"]["conditions"]
    return next((c["reason"] for c in conditions if c["type"] == "Adopted"), None)


async def test_what_only_older_rules_took_is_finished_as_a_person_made_it(
    capsys: pytest.CaptureFixture[str],
):
    hub: Any = StricterHub(HAND_MADE)
    assert await restored_over(hub, of(OLDER)) is Step.FINISH

    assert hub.live["spec"] == HAND_MADE["spec"]
    assert hub.live["status"]["origin"]["uid"] == OLDER["metadata"]["uid"]
    assert await restored_over(hub, of(OLDER)) is Step.KEEP
    finished, kept = [x for x in capsys.readouterr().out.splitlines() if x.startswith("GpuLease")]
    assert DIFFERS in finished
    assert DIFFERS in kept


async def test_it_gets_a_newer_backups_status_too_once_a_person_says_that_its_spec_stands_for_that_one():
    hub: Any = StricterHub(HAND_MADE)
    await restored_over(hub, of(OLDER))
    held, newer, later = hub.live, {**OLDER, "status": {"capacity": {"nodes": 3}}}, NOW + 1_000
    with pytest.raises(Problem, match="1 object isn't written"):
        await restored_over(hub, of(newer, taken_ms=later), agreed=True)
    assert hub.live["status"] == held["status"]

    hub.live = put_right(hub.live, later)
    assert await restored_over(hub, of(newer, taken_ms=later)) is Step.REFRESH
    assert hub.live["spec"] == HAND_MADE["spec"]
    assert hub.live["status"]["capacity"] == {"nodes": 3}
    assert adopted_says(hub.live) == "AwaitingAdoption"
    assert await restored_over(hub, of(newer, taken_ms=later)) is Step.KEEP


LIVES = pytest.mark.parametrize(
    "live",
    [
        REWOUND,
        {**REWOUND, "status": adopted(restored(REWOUND))["status"]},
        restored(REWOUND),
    ],
    ids=["of a rewound hub", "that was restored once before", "made again"],
)


@LIVES
@pytest.mark.parametrize("refusal", [StricterHub.refusal, Forbidden(403, "Forbidden", "quota")])
async def test_an_object_goes_on_as_it_was_where_the_backups_spec_is_refused(
    live: dict[str, Any], refusal: Exception
):
    # the mark of an earlier restore stays for ever: it is nobody's word about this one
    meta = {**live["metadata"], "annotations": {RESTORED: OLDER["metadata"]["uid"]}}
    hub: Any = StricterHub({**live, "metadata": meta})
    hub.refusal = refusal
    with pytest.raises(Problem, match="1 object isn't written"):
        await restored_over(hub, of(OLDER, taken_ms=NOW + 1_000), agreed=True)

    assert (hub.live["spec"], hub.live["status"]) == (live["spec"], live["status"])


@LIVES
@pytest.mark.parametrize("generation", [1, 2, 9], ids="{} edits".format)
async def test_it_is_held_with_the_spec_that_a_person_put_right_in_however_many_edits(
    live: dict[str, Any], generation: int
):
    hub: Any = StricterHub(put_right(live, NOW + 1_000, generation=generation))
    archive = of(OLDER, taken_ms=NOW + 1_000)
    step = await restored_over(hub, archive, agreed=True)

    assert step in (Step.UPDATE, Step.REFRESH)
    assert hub.live["spec"] == REWOUND["spec"]
    assert adopted_says(hub.live) == "AwaitingAdoption"
    assert await restored_over(hub, archive) is Step.KEEP


async def test_what_was_adopted_with_a_spec_that_was_put_right_goes_on():
    live = put_right({**REWOUND, "status": adopted(restored(REWOUND))["status"]}, NOW)
    hub: Any = StricterHub(live)

    assert await restored_over(hub, of(OLDER), agreed=True) is Step.NEWER
    assert hub.live == live


async def test_the_table_says_nothing_of_a_spec_that_was_changed_after_the_adoption(
    capsys: pytest.CaptureFixture[str],
):
    hub: Any = StricterHub(adopted(restored(REWOUND)))

    assert await restored_over(hub, of(OLDER)) is Step.KEEP
    assert "spec" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "live", [REWOUND, restored(REWOUND)], ids=["of a rewound hub", "made again"]
)
async def test_what_a_restore_left_halfway_is_finished_with_the_spec_that_a_person_put_right(
    live: dict[str, Any],
):
    halfway = {**live, "status": _halfway_status(OLDER, Millis(NOW), live)}
    # whoever puts a spec right needs more than one try
    hub: Any = StricterHub(put_right(halfway, generation=9))
    assert await restored_over(hub, of(OLDER)) is Step.REFRESH

    assert hub.live["spec"] == REWOUND["spec"]
    assert adopted_says(hub.live) == "AwaitingAdoption"


async def test_what_nobody_put_right_stays_halfway_where_the_backups_spec_is_refused():
    hub: Any = StricterHub({**REWOUND, "status": _halfway_status(OLDER, Millis(NOW), REWOUND)})
    with pytest.raises(Problem, match="1 object isn't written"):
        await restored_over(hub, of(OLDER), agreed=True)

    assert adopted_says(hub.live) == "RestoreUnfinished"


async def test_a_class_that_was_finished_as_a_person_made_it_stays_so():
    floats = on_the_wire(as_class(gpu_class(pricing="Floating")), "GpuClass")
    made = put_right(unmade(restored(floats)))
    new = {"creationTimestamp": "2026-11-23T10:00:00Z"}
    spec = {**made["spec"], "maxDurationSeconds": 3_600}
    hub: Any = StricterHub({**made, "metadata": {**made["metadata"], **new}, "spec": spec})
    assert await restored_over(hub, of(floats)) is Step.FINISH

    assert hub.live["spec"] == spec
    assert await restored_over(hub, of(floats)) is Step.KEEP


async def test_a_class_of_a_rewound_hub_that_a_person_put_right_stays_so():
    newer = on_the_wire(as_class(gpu_class(price="9.99"), generation=3), "GpuClass")
    live = put_right(on_the_wire(as_class(generation=1), "GpuClass"))

    assert judge(newer, live, format_instant(NOW)) is Step.KEEP


def test_what_a_person_put_right_for_an_older_backup_is_not_said_of_what_is_made_of_a_newer_one():
    assert list(_newborn(put_right(on_the_wire(as_claim())))["metadata"]["annotations"]) == [
        RESTORED
    ]
