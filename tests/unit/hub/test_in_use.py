"""What a lease says while somebody waits for its deletion."""

import pytest

from sublet.api.gpulease import GpuLease
from sublet.api.last_word import Leftover
from sublet.hub.in_use import lease_in_use
from tests.builders.api import NOW, uid_of
from tests.builders.moves import leased, running


def going(leftovers: int = 0) -> tuple[GpuLease, object]:
    each, found = leased("west", count=20)
    left = tuple(
        Leftover(claim_uid=uid_of(str(i)), homes=(1,), gpus=8, since_time=NOW)
        for i in range(leftovers)
    )
    meta = each.metadata.model_copy(update={"deletion_timestamp": NOW})
    status = each.status.model_copy(update={"leftovers": left})
    return each.model_copy(update={"metadata": meta, "status": status}), found


def test_claims_are_named_as_far_as_there_is_room_with_the_ways_out():
    west = going()
    claims = [running(west, f"c{i:02}") for i in range(12)]

    _, reason, message = lease_in_use(west[0], 12, claims, has_nodes=True)
    assert reason == "Claims"
    assert "12 claims hold it: acme/c00, acme/c01" in message
    assert "and 2 more" in message
    assert "`lost`" in message


def test_claims_of_other_leases_are_not_named():
    west, east = going(), leased("east")

    _, _, message = lease_in_use(
        west[0], 1, [running(west, "here"), running(east, "there")], has_nodes=True
    )
    assert "acme/here;" in message
    assert "there" not in message


def test_one_that_cant_be_read_is_named_too():
    west = going()

    _, _, message = lease_in_use(
        west[0], 2, [running(west, "here")], has_nodes=True, unread=("acme/dark",)
    )
    assert "2 claims hold it: acme/dark, acme/here;" in message


def test_one_that_was_read_before_and_cant_be_any_more_is_named_once():
    west = going()

    _, _, message = lease_in_use(
        west[0], 1, [running(west, "here")], has_nodes=True, unread=("acme/here",)
    )
    assert "1 claim holds it: acme/here;" in message


@pytest.mark.parametrize(
    ("leftovers", "has_nodes", "status", "reason"),
    [
        (2, True, "True", "Leftovers"),
        (0, True, "True", "Nodes"),
        (0, False, "False", "NoClaims"),
        (2, False, "False", "NoClaims"),
    ],
)
def test_what_else_holds_it_up_is_said(leftovers: int, has_nodes: bool, status: str, reason: str):
    found = lease_in_use(going(leftovers)[0], 0, [], has_nodes=has_nodes)

    assert found[:2] == (status, reason)


def test_a_lease_that_stays_only_counts():
    each, _ = leased("west")

    assert lease_in_use(each, 3, [], has_nodes=True)[2].startswith("3 claims hold it; it can be")
