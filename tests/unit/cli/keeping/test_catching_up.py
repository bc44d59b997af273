"""A restored promise goes on with what the ledger charges of its window: it was given up too late after the backup."""

from dataclasses import replace
from typing import Any

import pytest

from sublet.api.cancellation import GivenUp
from sublet.api.gpuclaim import GpuClaim
from sublet.api.times import Millis
from sublet.book.view import View
from sublet.cli.keeping.adopt import Word, adopted_status
from sublet.cli.keeping.archive import Archive
from sublet.cli.keeping.judgement import Step
from sublet.cli.keeping.mapping import Hub, Row, Term, Verdict, make_map
from sublet.cli.keeping.restore import look
from sublet.hub.meter import facts_of
from sublet.ledger.entry import EntryKind
from tests.builders.api import NOW
from tests.builders.restored import on_the_wire, parsed, restored
from tests.unit.book.test_cancellation import asks, charged, world

BACKUP = world()
SHORTENED = asks(BACKUP, 3.2, hours=5)
(SAVED,) = BACKUP.claims
WORD = Word("ann", Millis(NOW + 60_000))


def given_up(seen: View) -> tuple[GivenUp, ...]:
    (each,) = seen.claims
    assert each.status.allocation is not None
    return each.status.allocation.given_up


def row(saved: GpuClaim, of_ledger: tuple[GivenUp, ...]) -> Row:
    """The claim in the map, restored beside a ledger that charges this and has never seen it bound."""
    terms = {saved.metadata.uid: Term(0, None, given_up=of_ledger)}
    (found,) = make_map(Hub(claims=[parsed(restored(on_the_wire(saved)))]), {}, terms)
    assert found.verdict is Verdict.ADOPT
    return found


def goes_on(found: Row) -> View:
    """What is seen once the claim is adopted."""
    body = on_the_wire(found.item)
    status = adopted_status(found, WORD)
    body["status"] = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    return replace(BACKUP, claims=(parsed(body),))


def lines_of(seen: View) -> dict[str, str]:
    """What the ledger gets of it for having been given up: id -> content."""
    (each,) = seen.claims
    return {f.id: f.content for f in facts_of(each) if f.kind is EntryKind.CANCELLED}


def test_what_was_charged_after_the_backup_is_taken_over_with_the_very_lines_that_the_ledger_has():
    after = goes_on(row(SAVED, given_up(SHORTENED)))

    assert charged(after) == [(9, 12, 16)]
    assert lines_of(after) == lines_of(SHORTENED) != {}


@pytest.mark.parametrize(
    ("mind", "hours"),
    [
        ({"hours": 5}, [(9, 12, 16)]),
        ({"hours": 3}, [(7, 9, 16), (9, 12, 16)]),
        ({"delete": True}, [(4, 9, 16), (9, 12, 16)]),
    ],
    ids=["the same", "more", "all"],
)
def test_whatever_its_tenant_gives_up_then_no_hour_is_charged_twice(
    mind: dict[str, Any], hours: list[tuple[int, int, int]]
):
    after = asks(goes_on(row(SAVED, given_up(SHORTENED))), 3.5, **mind)

    assert sorted(charged(after)) == hours


def test_who_agrees_to_the_map_is_told_that_it_would_be_billed_as_use_too():
    assert "given up too late since" in row(SAVED, given_up(SHORTENED)).note
    assert row(SAVED, ()).note == ""


def test_what_the_backup_has_of_it_is_neither_taken_over_again_nor_news():
    (saved,) = SHORTENED.claims
    found = row(saved, given_up(SHORTENED))

    assert (charged(goes_on(found)), found.note) == ([(9, 12, 16)], "")


def test_what_was_given_up_of_another_reservation_is_left_to_the_ledger():
    other = tuple(x.model_copy(update={"sequence": 2}) for x in given_up(SHORTENED))

    assert charged(goes_on(row(SAVED, other))) == []


@pytest.mark.parametrize(
    ("of_hub", "step"),
    [(BACKUP, Step.BEHIND), (SHORTENED, Step.KEEP)],
    ids=["it was put back", "it goes on"],
)
async def test_a_promise_of_which_the_ledger_charges_more_than_hub_and_backup_know_is_held(
    of_hub: View, step: Step
):
    (live,) = of_hub.claims
    body = on_the_wire(live)

    class Only:
        async def get(self, _: str) -> dict[str, Any]:
            return body

    hub: Any = Only()
    terms = {live.metadata.uid: Term(0, None, given_up=given_up(SHORTENED))}
    (order,) = await look(hub, Archive("hub", WORD.at_ms, None, (), (body,)), terms)

    assert order.step is step
