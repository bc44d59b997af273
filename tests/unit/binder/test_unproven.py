"""A namespace that takes a deleted one's place is let into by what proves it, and by nothing that renews tokens meanwhile."""

from typing import Any

import pytest

from sublet.api import move_status
from sublet.api.claim_status import allocation_of
from sublet.api.gpuclaim import GpuClaim
from sublet.api.relocation import Move, MoveCause
from sublet.api.times import Millis
from sublet.binder import bind, relocate
from sublet.binder.access import Grant
from sublet.binder.bind import hand_out
from sublet.binder.ports import ClusterSilent
from sublet.binder.sites import reachable_sites
from sublet.drift import mend
from sublet.kube.session import Endpoint
from tests.builders.api import NOW
from tests.builders.renewals import DUE, Setup, claim_on_both, rehomed_in, with_access


def numbers(claim: GpuClaim | None) -> list[tuple[str, str]]:
    """Return the clusters that a claim's kubeconfig leads to, with the number of the namespace in each."""
    assert claim is not None
    assert claim.status.access is not None
    return [(c.alias, c.namespace[-2:]) for c in claim.status.access.clusters]


def west_unproven() -> GpuClaim:
    return rehomed_in("west", claim_on_both())


async def test_a_renewal_leaves_it_out_and_renews_the_others():
    setup = Setup("west", "east", claim=west_unproven())
    await setup.renew()

    assert numbers(setup.hub.live) == [("east", "-1")]
    assert setup.hub.contexts == ["east"]
    assert setup.api("west").calls == []


async def test_a_renewal_with_nothing_else_to_ask_for_writes_no_kubeconfig_and_is_tried_again():
    claim = rehomed_in("east", west_unproven())
    setup = Setup("west", "east", claim=claim)
    with pytest.raises(ClusterSilent):
        await setup.renew()

    assert not setup.hub.is_there
    assert numbers(setup.hub.live) == [("west", "-1"), ("east", "-1")]


async def test_the_token_of_a_proof_that_failed_isnt_kept_for_a_cluster_that_falls_silent():
    setup = Setup("east", claim=west_unproven())
    uid = setup.claim.metadata.uid
    setup.grants[uid, "west"] = Grant(
        "west", f"sublet-{uid}-2", Endpoint("https://west.example"), "t", NOW, Millis(DUE * 2), DUE
    )
    await setup.renew()

    assert setup.hub.contexts == ["east"]
    assert ("west", "-2") not in numbers(setup.hub.live)


async def test_of_two_the_one_that_is_proven_is_handed_over_alone():
    claim = rehomed_in("east", west_unproven())
    setup = Setup("west", "east", claim=claim)
    sites, _ = reachable_sites(claim, setup.tools, allocation_of(claim).placements)
    west, east = sorted(sites, key=lambda s: s.alias, reverse=True)
    proven = await bind.grant(west, setup.tools)
    access, _ = await hand_out(claim, [proven], [east], [], setup.tools)

    assert [(c.alias, c.namespace[-2:]) for c in access.clusters] == [("west", "-2")]


async def test_a_move_that_becomes_ready_elsewhere_leaves_it_out(monkeypatch: pytest.MonkeyPatch):
    both = claim_on_both()
    west, east = allocation_of(both).placements
    alone = allocation_of(both).model_copy(update={"placements": (west,)})
    each = both.model_copy(update={"status": both.status.model_copy(update={"allocation": alone})})
    each = rehomed_in("west", each)
    places = (*allocation_of(each).placements, east.model_copy(update={"home": 3}))
    move = Move(sequence=3, cause=MoveCause.NODE_FAILED, decided_time=NOW, placements=places)
    moving = each.model_copy(update={"status": move_status.moving(each, move, NOW)})
    setup = Setup("west", "east", claim=moving)

    async def nothing(*_: Any) -> None: ...

    for name in ("lock_all", "settle_in"):
        monkeypatch.setattr(relocate, name, nothing)
    monkeypatch.setattr(relocate, "prove", bind.grant)
    done = await relocate.grow(setup.claim, setup.tools, lambda: None)

    assert numbers(done) == [("east", "-3")]


async def test_a_move_that_grows_into_it_proves_it(monkeypatch: pytest.MonkeyPatch):
    each = west_unproven()
    west, east = allocation_of(each).placements
    more = west.model_copy(update={"node": "w-9", "node_uid": "w-9-uid"})
    move = Move(sequence=3, cause=MoveCause.NODE_FAILED, decided_time=NOW, placements=(west, east, more))  # fmt: skip
    setup = Setup("west", "east", claim=each.model_copy(update={"status": move_status.moving(each, move, NOW)}))  # fmt: skip
    proven: list[str] = []

    async def nothing(*_: Any) -> None: ...

    async def proving(site: Any, tools: Any) -> Grant:
        proven.append(site.home.name[-2:])
        return await bind.grant(site, tools)

    for name in ("lock_all", "settle_in", "_see_quota"):
        monkeypatch.setattr(relocate, name, nothing)
    monkeypatch.setattr(relocate, "prove", proving)
    done = await relocate.grow(setup.claim, setup.tools, lambda: None)

    assert proven == ["-2"]
    assert ("west", "-2") in numbers(done)


async def test_a_secret_that_is_gone_takes_the_tokens_of_the_others_along_at_once():
    setup = Setup("west", "east", claim=with_access(west_unproven(), secret_version="5"))
    await mend._mend_access(setup.claim, setup.tools, [])

    assert (setup.revoked("west"), setup.revoked("east")) == (0, 1)
    assert setup.hub.contexts == ["east"]


async def test_it_is_still_to_be_proven_after_a_renewal():
    setup = Setup("west", "east", claim=west_unproven())
    await setup.renew()
    claim = setup.hub.live
    assert claim is not None
    sites, _ = reachable_sites(claim, setup.tools, allocation_of(claim).placements)

    assert [s.alias for s in sites if not mend.is_handed_over(claim, s)] == ["west"]
