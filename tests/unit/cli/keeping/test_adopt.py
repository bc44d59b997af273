"""Adoption where one tenant's claim can't be read: it goes on for everybody else."""

from typing import Any

import pytest

from sublet.api.ids import ClaimUID
from sublet.api.kinds import CLAIMS
from sublet.cli.keeping.adopt import Word, adopted_status, read_map
from sublet.cli.keeping.commands import _adopt, _show
from sublet.cli.keeping.mapping import Hub as Map, Row, Verdict, digest_of, strangers
from sublet.cli.keeping.possession import Possession
from sublet.kube.lists import ListPage
from tests.builders.restored import Body, adopted, on_the_wire, restored
from tests.builders.unread import senseless, unread
from tests.builders.wire import page
from tests.builders.worlds import LATER, bound_claim, guarded

GOOD = restored(on_the_wire(guarded()))
OTHER = bound_claim("other", on=1)


class Hub:
    """A hub that shows these claims, and takes every write."""

    def __init__(self, *claims: Body) -> None:
        self.claims = claims
        self.adopted: list[str] = []

    async def list_page(self, path: str, *_: Any, **__: Any) -> ListPage:
        return page(*self.claims) if path == CLAIMS.path() else page()

    async def create(self, _: str, __: Body) -> Body:
        return {"status": {"userInfo": {"username": "ann"}}}

    async def patch(self, path: str, _: Any) -> Body:
        self.adopted.append(path.split("/")[-2])
        return {}


async def mapped(*claims: Body) -> tuple[list[Row], Map]:
    hub: Any = Hub(*claims)
    rows, found, _ = await read_map(hub, "sublet-system")
    return rows, found


async def test_a_spec_that_cant_be_read_keeps_nobody_from_the_map_and_its_claim_goes_by_its_status():
    rows, _ = await mapped(GOOD, restored(unread(OTHER), "new2"))

    held, good = rows
    assert (good.key, good.verdict) == ("acme/train", Verdict.ADOPT)
    assert (held.key, held.verdict, held.old) == ("acme/other", Verdict.WAIT, OTHER.metadata.uid)
    assert adopted_status(held, Word("ann", LATER)).allocation == OTHER.status.allocation


async def test_a_claim_of_which_nobody_can_tell_what_it_holds_stays_held_and_says_why(
    capsys: pytest.CaptureFixture[str],
):
    rows, found = await mapped(GOOD, _senseless())
    _show(rows, found, {})

    assert [r.key for r in rows] == ["acme/train"]
    (line,) = [x for x in capsys.readouterr().out.splitlines() if "acme/other" in x]
    assert line.split()[2] == OTHER.metadata.uid
    assert " unread " in line
    assert "status.usedMilliseconds" in line


async def test_a_yes_adopts_all_but_the_claim_that_cant_be_read(
    capsys: pytest.CaptureFixture[str],
):
    hub: Any = Hub(GOOD, _senseless())
    rows, found, _ = await read_map(hub, "sublet-system")
    await _adopt(hub, rows, digest_of(rows), found)

    assert hub.adopted == ["train"]
    assert "1 object adopted; 1 stay held" in capsys.readouterr().out


@pytest.mark.parametrize("is_done", [False, True], ids=["held", "adopted"])
async def test_what_nodes_hold_for_a_claim_that_cant_be_read_is_no_strangers(is_done: bool):
    body = _senseless()
    _, found = await mapped(GOOD, adopted(body) if is_done else body)
    seen = {"west": Possession({"n": {ClaimUID(OTHER.metadata.uid): 8}}, {"n": "n0"})}

    assert list(strangers(found, seen)) == []


async def test_a_claim_that_cant_be_read_and_wasnt_restored_is_in_no_map(
    capsys: pytest.CaptureFixture[str],
):
    rows, found = await mapped(GOOD, senseless(OTHER))
    _show(rows, found, {})

    assert "acme/other" not in capsys.readouterr().out


def test_what_a_landlord_calls_a_node_drives_no_terminal(capsys: pytest.CaptureFixture[str]):
    uid = ClaimUID(OTHER.metadata.uid)
    _show([], Map(), {"west": Possession({"n": {uid: 8}}, {"n": "n0\x1b[2J"})})

    assert f"node n0 [2J holds 8 GPUs for claim {uid}" in capsys.readouterr().out


def _senseless() -> Body:
    """Return the other claim as it was restored with a status that can't be read."""
    return restored(senseless(OTHER), "new2")
