"""A spec that a restore brings to the backup's, although the API server keeps what a claim was reserved by."""

import copy
from typing import Any

import pytest

from sublet.api.common import is_true
from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import ClaimUID
from sublet.api.times import Millis
from sublet.book.holdings import holds
from sublet.cli.keeping.adopt import Word, adopted_status
from sublet.cli.keeping.archive import Archive
from sublet.cli.keeping.judgement import Step
from sublet.cli.keeping.mapping import Hub as Map, Verdict, make_map
from sublet.cli.keeping.possession import Possession
from sublet.cli.keeping.restore import Order, look, restore
from sublet.cli.problems import Problem
from sublet.hub.state import HubState
from sublet.kube.errors import Forbidden, Invalid, NotFound, Unauthorized, Unreachable
from tests.builders.api import NOW, as_claim, uid_of
from tests.builders.moves import leased, running
from tests.builders.restored import Body, on_the_wire, parsed

WEST = leased("west")
TAKEN, EARLIER = Millis(NOW + 60_000), Millis(NOW + 1_000)
BEFORE = on_the_wire(running(WEST))
"""Bound with 8 GPUs."""


def resized(claim: Body) -> Body:
    """Return a claim that was suspended, made larger, resumed and bound again."""
    found = copy.deepcopy(claim)
    found["spec"]["gpus"] = 16
    found["metadata"]["generation"] = found["metadata"].get("generation", 0) + 3
    found["status"]["allocation"]["sequence"] = 2
    return found


AFTER = resized(BEFORE)
ZEBRA = on_the_wire(as_claim(name="zebra", namespace="globex", uid=uid_of("zebra")))
"""Another tenant's, which comes after it."""


class Hub:
    """A hub that keeps what it is given by the CRD's rule, and may break off before one of its writes."""

    def __init__(self, *bodies: Body) -> None:
        self.claims = {_path(body): copy.deepcopy(body) for body in bodies}
        self.shown: list[Body] = []
        self.refused: dict[str, Exception] = {}
        self.writes_left = 1_000

    def claim(self, name: str) -> Body:
        return next(c for c in self.claims.values() if c["metadata"]["name"] == name)

    async def get(self, path: str) -> Body:
        if path not in self.claims:
            raise NotFound(404, "NotFound", path, {"name": path.rsplit("/", 1)[1]})
        return copy.deepcopy(self.claims[path])

    async def create(self, _: str, body: Body) -> Body:
        self._take_write(body["metadata"]["name"])
        new = {"uid": uid_of(f"new {_path(body)}"), "generation": 1}
        made = {**body, "metadata": {**body["metadata"], **new}}
        return self._keep(_path(body), made)

    async def replace(self, path: str, body: Body) -> Body:
        self._take_write(body["metadata"]["name"])
        old = self.claims[path.removesuffix("/status")]
        if path.endswith("/status"):
            return self._keep(path.removesuffix("/status"), {**old, "status": body["status"]})
        conditions = old["status"]["conditions"]
        if any((c["type"], c["status"]) == ("Reserved", "True") for c in conditions):
            raise Invalid(422, "Invalid", "gpus can't change while the claim is reserved")
        meta = {**old["metadata"], "generation": old["metadata"].get("generation", 0) + 1}
        return self._keep(path, {**old, "spec": body["spec"], "metadata": meta})

    def _take_write(self, name: str) -> None:
        if name in self.refused:
            raise self.refused[name]
        if self.writes_left == 0:
            raise Unreachable("cut off")
        self.writes_left -= 1

    def _keep(self, path: str, body: Body) -> Body:
        version = str(101 + len(self.shown))
        body = {**body, "metadata": {**body["metadata"], "resourceVersion": version}}
        self.claims[path] = body
        self.shown.append(copy.deepcopy(body))
        return copy.deepcopy(body)


def _path(body: Body) -> str:
    meta = body["metadata"]
    base = f"/apis/sublet.dev/v1alpha1/namespaces/{meta['namespace']}/gpuclaims"
    return f"{base}/{meta['name']}"


def backup(*claims: Body, taken: Millis = TAKEN) -> Archive:
    return Archive("hub", taken, None, (), claims)


async def put_back(hub: Any, archive: Archive) -> int:
    return await restore(hub, archive, await look(hub, archive), agreed=True)


async def rewound() -> Hub:
    """A hub whose etcd is older than the backup."""
    return Hub(BEFORE)


async def found_anew() -> Hub:
    """An empty hub onto which an older backup was restored."""
    hub = Hub()
    await put_back(hub, backup(BEFORE, taken=EARLIER))
    hub.shown.clear()
    return hub


HISTORIES = pytest.mark.parametrize("history", [rewound, found_anew])


@HISTORIES
async def test_a_claim_that_was_made_larger_while_it_was_suspended_is_brought_to_the_backup(
    history: Any,
):
    hub = await history()
    assert await put_back(hub, backup(AFTER, ZEBRA)) == 2

    train = hub.claim("train")
    assert train["spec"] == AFTER["spec"]
    assert train["status"]["allocation"] == AFTER["status"]["allocation"]
    assert train["status"]["origin"]["uid"] == AFTER["metadata"]["uid"]
    assert is_true(parsed(train).status.conditions, "Reserved")
    assert hub.claim("zebra")["spec"] == ZEBRA["spec"]
    assert await put_back(hub, backup(AFTER, ZEBRA)) == 0


@HISTORIES
@pytest.mark.parametrize("edits", [1, 9])
async def test_a_spec_that_was_changed_while_it_was_held_is_left_alone_by_the_next_run(
    history: Any, edits: int
):
    hub = await history()
    await put_back(hub, backup(AFTER))
    held = hub.claim("train")
    held["spec"] = {**held["spec"], "tags": {"team": "b"}}
    held["metadata"]["generation"] += edits

    assert await put_back(hub, backup(AFTER)) == 0
    assert hub.claim("train")["spec"]["tags"] == {"team": "b"}


@HISTORIES
async def test_it_is_held_with_all_it_holds_after_each_write(history: Any):
    hub = await history()
    state = HubState(lambda: None)
    await put_back(hub, backup(AFTER))

    assert len(hub.shown) > 1
    for body in hub.shown:
        state.claims.take(body)
        assert state.claims.all() == ()
        (held,) = state.claims.awaited()
        assert holds(held)


@HISTORIES
@pytest.mark.parametrize("writes", [1, 2])
async def test_a_restore_that_breaks_off_halfway_can_be_adopted_only_after_it_is_run_again(
    history: Any, writes: int
):
    hub = await history()
    hub.writes_left = writes
    with pytest.raises(Unreachable):
        await put_back(hub, backup(AFTER))

    assert _verdict(hub) is Verdict.UNFINISHED
    hub.writes_left = 1_000
    await put_back(hub, backup(AFTER))
    assert hub.claim("train")["spec"] == AFTER["spec"]
    assert _verdict(hub) is Verdict.ADOPT


@pytest.mark.parametrize("is_there", [True, False])
async def test_a_backup_that_was_taken_halfway_is_no_source_of_what_was_changed_then(
    is_there: bool,
):
    hub = await found_anew()
    hub.writes_left = 1
    with pytest.raises(Unreachable):
        await put_back(hub, backup(AFTER))

    halfway = hub.claim("train")
    other: Any = Hub(BEFORE) if is_there else Hub()
    assert [o.step for o in await look(other, backup(halfway))] == [Step.BARE]


async def test_a_break_before_a_status_that_says_the_same_is_mended_by_the_next_run():
    tagged = {**BEFORE, "spec": {**BEFORE["spec"], "tags": {"from": "newer"}}}
    tagged["metadata"] = {**tagged["metadata"], "generation": 2}
    waiting = {**tagged, "status": {"observedGeneration": 1, "conditions": []}}
    hub = Hub({**BEFORE, "status": waiting["status"]})
    hub.writes_left = 2
    with pytest.raises(Unreachable):
        await put_back(hub, backup(waiting))
    hub.writes_left = 1_000

    assert await put_back(hub, backup(waiting)) == 1
    assert await put_back(hub, backup(waiting)) == 0


async def test_what_is_adopted_in_the_end_says_nothing_of_the_way_there():
    hub = await found_anew()
    await put_back(hub, backup(AFTER))
    (row,) = _rows(hub)

    status = adopted_status(row, Word("ann", TAKEN))
    types = [c.type for c in status.conditions]
    assert types == [*[c["type"] for c in AFTER["status"]["conditions"]], "Adopted"]


REFUSALS = [
    Forbidden(403, "Forbidden", "quota exceeded"),
    Invalid(422, "Invalid", "gpus can't change"),
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=["a quota", "a rule"])
async def test_one_object_that_is_refused_is_named_and_keeps_no_other_from_being_restored(
    refusal: Exception, capsys: pytest.CaptureFixture[str]
):
    hub: Any = Hub()
    hub.refused["train"] = refusal
    with pytest.raises(Problem, match="1 object isn't written"):
        await put_back(hub, backup(AFTER, ZEBRA))

    assert [c["metadata"]["name"] for c in hub.claims.values()] == ["zebra"]
    (line,) = capsys.readouterr().err.splitlines()
    assert "GpuClaim acme/train isn't accepted: " in line
    hub.refused.clear()
    assert await put_back(hub, backup(AFTER, ZEBRA)) == 1


async def test_a_credential_that_ended_is_no_refusal_of_one_object():
    hub: Any = Hub()
    hub.refused["train"] = Unauthorized(401, "Unauthorized", "expired")
    orders = [Order(AFTER, None, o.step) for o in await look(hub, backup(AFTER))]

    with pytest.raises(Unauthorized):
        await restore(hub, backup(AFTER), orders, agreed=True)


def _rows(hub: Hub) -> Any:
    claim: GpuClaim = parsed(hub.claim("train"))
    lease, nodes = WEST[0].metadata.uid, WEST[1].nodes.values()
    uid = ClaimUID(BEFORE["metadata"]["uid"])
    placed = {p.node_uid: p.gpus for p in running(WEST).status.allocation.placements}
    books = {n.uid: {uid: placed[n.uid]} if n.uid in placed else {} for n in nodes}
    return make_map(Map(claims=[claim]), {lease: Possession(books, {n.uid: n.name for n in nodes})})


def _verdict(hub: Hub) -> Verdict:
    (row,) = _rows(hub)
    verdict: Verdict = row.verdict
    return verdict
