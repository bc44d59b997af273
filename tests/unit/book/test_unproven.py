"""Bound claims whose lease's isolation fails: they say so, stay bound, and say it no more when it is mended."""

from dataclasses import replace

from sublet.api.ids import LeaseUID
from sublet.book.decisions import Degrade
from sublet.book.inventory import Reach
from sublet.book.plan import plan
from sublet.book.unproven import ISOLATION_UNPROVEN
from sublet.book.view import View
from tests.builders.fleet import after, view
from tests.builders.moves import decided, leased, running


def broken(seen: View, **fields: object) -> View:
    """Return the view with the isolation of its lease found wanting."""
    (lease,) = seen.leases
    uid = LeaseUID(lease.metadata.uid)
    fault = {"isolation_ready": False, "isolation_fault": True, **fields}
    return replace(seen, inventories={uid: replace(seen.inventories[uid], **fault)})


def test_a_bound_claim_says_that_isolation_fails_until_it_is_mended():
    west = leased("west")
    seen = view([running(west)], [west])

    (told,) = decided(broken(seen))
    assert isinstance(told, Degrade)
    assert told.reason == ISOLATION_UNPROVEN
    assert "don't act as they should at west: the claim stays bound" in told.message
    said = after(broken(seen), plan(broken(seen)))
    assert decided(said) == []
    mended = replace(said, inventories=seen.inventories)
    (taken_back,) = decided(mended)
    assert isinstance(taken_back, Degrade)
    assert taken_back.message == ""


def test_isolation_that_nobody_has_proven_yet_is_no_fault():
    west = leased("west")
    seen = view([running(west)], [west])

    assert decided(broken(seen, isolation_fault=False)) == []


def test_a_cluster_that_falls_silent_takes_nothing_back():
    west = leased("west")
    seen = broken(view([running(west)], [west]))
    said = after(seen, plan(seen))

    assert decided(broken(said, isolation_fault=False, reach=Reach.UNKNOWN)) == []


def test_a_new_start_that_has_proven_nothing_yet_takes_nothing_back():
    west = leased("west")
    seen = broken(view([running(west)], [west]))
    said = after(seen, plan(seen))

    assert decided(broken(said, isolation_fault=False)) == []
    assert decided(replace(said, inventories={})) == []
