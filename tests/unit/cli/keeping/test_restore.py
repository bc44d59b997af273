"""What a restore writes of an object."""

from typing import Any

import pytest

from sublet.api.times import Millis, format_instant
from sublet.cli.keeping.archive import Archive
from sublet.cli.keeping.judgement import Step, judge
from sublet.cli.keeping.mapping import Hub as Map, Term, Verdict, make_map
from sublet.cli.keeping.possession import Possession
from sublet.cli.keeping.restore import (
    Order,
    _newborn,
    _spec_of,
    look,
    restore,
)
from sublet.cli.problems import Problem
from sublet.hub.state import HubState
from tests.builders.api import NOW, as_claim, as_class, gpu_class, uid_of
from tests.builders.moves import leased, running
from tests.builders.restored import on_the_wire, parsed, restored
from tests.builders.unread import senseless, unread

WORD = {"forceRelease": {"claimUID": "old", "by": "ann"}}


def saved(**spec: Any) -> dict[str, Any]:
    body = on_the_wire(as_claim())
    return {**body, "spec": {**body["spec"], **spec}}


def test_a_persons_word_for_the_old_object_is_not_said_of_the_new_one():
    made = _newborn(saved(**WORD))

    assert "forceRelease" not in made["spec"]
    assert made["spec"]["className"] == saved()["spec"]["className"]


def test_a_word_that_the_hub_has_of_the_very_same_object_stays():
    live = saved(forceRelease={"claimUID": "old", "by": "bob"})

    assert _spec_of(saved(**WORD), live)["forceRelease"]["by"] == "bob"


class Hub:
    """A hub that takes every write, and shows one object."""

    def __init__(self, live: dict[str, Any] | None = None) -> None:
        self.live = live
        self.written: list[tuple[str, dict[str, Any]]] = []
        self.deleted: list[str | None] = []

    async def get(self, _: str) -> dict[str, Any]:
        assert self.live is not None
        return self.live

    async def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.written.append((path.rsplit("/", 1)[1], body))
        new = {
            "uid": uid_of("new"),
            "resourceVersion": "50",
            "creationTimestamp": "2026-11-23T10:00:00Z",
        }
        return {**body, "metadata": {**body["metadata"], **new}}

    async def replace(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.written.append((path.rsplit("/", 1)[1], body))
        meta = {**(self.live or body)["metadata"], **body["metadata"], "resourceVersion": "51"}
        return {**(self.live or {}), **body, "metadata": meta}

    async def delete(self, _: str, *, uid: str | None = None) -> None:
        self.deleted.append(uid)


@pytest.mark.parametrize("step", [Step.REFRESH, Step.FINISH])
async def test_a_newer_backup_brings_the_contract_too_and_not_the_status_alone(step: Step):
    hub: Any = Hub()
    newer = saved(tags={"from": "newer"})
    order = Order(newer, restored(saved()), step)
    archive = Archive("hub", Millis(NOW + 1), None, (), (newer,))
    with pytest.raises(
        Problem, match="1 object differing from the backup, and nothing was written"
    ):
        await restore(hub, archive, [order], agreed=False)
    assert hub.written == []
    await restore(hub, archive, [order], agreed=True)

    *_, (_, first), (last, status) = hub.written
    assert first["spec"]["tags"] == {"from": "newer"}
    assert (last, status["metadata"]["resourceVersion"]) == ("status", "51")


async def restored_class() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Make a class again on an empty hub; return it as it was, and what the hub shows after each write."""
    hub: Any = Hub()
    floats = on_the_wire(as_class(gpu_class(pricing="Floating")), "GpuClass")
    archive = Archive("hub", Millis(NOW), None, (), (floats,))
    await restore(hub, archive, [Order(floats, None, Step.CREATE)], agreed=False)
    (_, made), (_, status) = hub.written
    new = {"uid": uid_of("new"), "resourceVersion": "50"}
    newborn = {**made, "metadata": {**made["metadata"], **new}}
    meta = {**newborn["metadata"], "resourceVersion": "51"}
    return floats, [newborn, {**newborn, "metadata": meta, "status": status["status"]}]


async def test_a_class_goes_by_its_old_uid_at_once_so_that_claims_go_on_following_its_prices():
    saved, shown = await restored_class()

    state = HubState(lambda: None)
    for body in shown:
        state.classes.take(body)
    (found,) = state.classes.all()
    assert (found.metadata.uid, found.metadata.own_uid) == (saved["metadata"]["uid"], uid_of("new"))


async def test_a_class_is_offered_to_nobody_before_it_goes_by_its_old_uid():
    _, (newborn, _) = await restored_class()

    state = HubState(lambda: None)
    state.classes.take(newborn)
    assert state.classes.all() == ()


def rewound() -> tuple[dict[str, Any], dict[str, Any]]:
    """A claim that was bound when the backup was taken, and the same on a hub that was put back to before that."""
    bound = on_the_wire(running(WEST))
    return bound, on_the_wire(as_claim(resourceVersion="40"))


WEST = leased("west")
LATER = Millis(NOW + 60_000)


async def written_over_a_rewound_hub() -> list[dict[str, Any]]:
    """Restore it; return what was written, in order, as the hub shows it."""
    hub: Any = Hub()
    saved, live = rewound()
    step = judge(saved, live, format_instant(LATER))
    assert step is Step.UPDATE
    archive = Archive("hub", LATER, None, (), (saved,))
    await restore(hub, archive, [Order(saved, live, step)], agreed=True)
    shown, version = live, 40
    found = []
    for _, body in hub.written:
        version += 1
        meta = {**live["metadata"], "resourceVersion": str(version)}
        shown = {**shown, **body, "metadata": meta}
        found.append(shown)
    return found


async def test_a_claim_of_a_rewound_hub_is_never_planned_between_restore_and_adoption():
    state = HubState(lambda: None)
    state.claims.take(rewound()[1])
    for body in await written_over_a_rewound_hub():
        state.claims.take(body)
        assert state.claims.all() == ()
    (held,) = state.claims.awaited()
    assert held.status.allocation is not None


async def test_a_claim_that_ended_after_the_backup_ends_whatever_the_backup_says_of_it():
    *_, body = await written_over_a_rewound_hub()
    claim = parsed(body)
    uid, lease = claim.metadata.uid, WEST[0].metadata.uid
    forgotten = Possession({n.uid: {} for n in WEST[1].nodes.values()})

    (row,) = make_map(Map(claims=[claim]), {lease: forgotten}, {uid: Term(1, LATER)})
    assert (row.verdict, row.old) == (Verdict.END, uid)


@pytest.mark.parametrize(
    ("term", "step"),
    [
        (Term(1, LATER), Step.BEHIND),
        (Term(2, None), Step.BEHIND),
        (Term(1, None), Step.KEEP),
        (None, Step.KEEP),
    ],
    ids=["it ended", "it was bound again", "nothing more", "nothing"],
)
async def test_a_claim_of_which_the_ledger_knows_more_than_hub_and_backup_is_held(
    term: Term | None, step: Step
):
    saved, _ = rewound()
    hub: Any = Hub(saved)
    archive = Archive("hub", LATER, None, (), (saved,))
    uid = saved["metadata"]["uid"]
    orders = await look(hub, archive, {uid: term} if term is not None else {})

    assert [o.step for o in orders] == [step]
    if step is Step.BEHIND:
        with pytest.raises(Problem, match="nothing was written"):
            await restore(hub, archive, orders, agreed=False)
        await restore(hub, archive, orders, agreed=True)
        ((path, written),) = hub.written
        assert (path, written["status"]["allocation"]) == ("status", saved["status"]["allocation"])
        assert written["status"]["origin"]["uid"] == uid
        hub.live = {**saved, "status": written["status"]}
        assert [o.step for o in await look(hub, archive, {uid: term} if term else {})] == [
            Step.KEEP
        ]


@pytest.mark.parametrize(
    ("live", "step"),
    [(unread(running(WEST)), Step.BEHIND), (senseless(running(WEST)), Step.NEWER)],
    ids=["what it asks for", "what it holds"],
)
async def test_a_claim_that_cant_be_read_ends_no_restore(live: dict[str, Any], step: Step):
    hub: Any = Hub(live)
    archive = Archive("hub", LATER, None, (), (rewound()[0],))
    orders = await look(hub, archive, {live["metadata"]["uid"]: Term(1, LATER)})

    assert [o.step for o in orders] == [step]
