"""A kubeconfig that was lost: older tokens die in every cluster, once, also in one that was silent at first."""

from typing import Any

import pytest

from sublet.api import move_status
from sublet.api.claim_status import allocation_of
from sublet.api.gpuclaim import GpuClaim
from sublet.api.relocation import Move, MoveCause
from sublet.api.times import Millis
from sublet.binder import bind, relocate
from sublet.binder.access import Grant
from sublet.binder.secret import SecretState
from sublet.drift import mend
from sublet.kube.session import Endpoint
from tests.builders.api import NOW
from tests.builders.renewals import DUE, Setup, claim_on_both, with_access


async def test_the_account_is_made_anew_before_a_token_is_minted_and_then_it_is_over():
    setup = Setup.of_lost("west", "east")
    access = await setup.renew()

    assert access.lost_time is None
    for api in setup.apis.values():
        assert [method for method, _ in api.calls] == ["DELETE", "APPLY", "CREATE"]
        assert {path.rsplit("/serviceaccounts/", 1)[1] for _, path in api.calls} == {"tenant", "tenant/token"}  # fmt: skip


async def test_a_silent_clusters_tokens_die_when_it_answers_and_the_others_work_on_meanwhile():
    setup = Setup.of_lost("west")
    access = await setup.renew()
    assert access.lost_time == DUE

    setup.now += 600_000
    setup.answer("west", "east")
    access = await setup.renew()

    assert access.lost_time is None
    assert (setup.revoked("west"), setup.revoked("east")) == (1, 1)


async def test_another_process_that_doesnt_know_what_was_revoked_does_it_again():
    setup = Setup.of_lost("west")
    await setup.renew()
    setup.grants.clear()
    setup.now += 600_000
    setup.answer("west", "east")
    await setup.renew()

    assert (setup.revoked("west"), setup.revoked("east")) == (2, 1)


async def test_a_clock_that_went_back_saves_no_token_that_was_out(monkeypatch: pytest.MonkeyPatch):
    setup = Setup.of_lost("west", "east")
    await setup.renew()
    assert setup.hub.live is not None
    setup.now -= 600_000

    async def gone(*_: Any) -> SecretState:
        return SecretState.GONE

    monkeypatch.setattr(mend, "look_at_secret", gone)
    await mend._mend_access(setup.hub.live, setup.tools, [])

    assert (setup.revoked("west"), setup.revoked("east")) == (2, 2)


async def test_a_token_from_before_the_loss_is_no_sign_that_anything_was_revoked():
    setup = Setup.of_lost("west", "east")
    uid, home = setup.claim.metadata.uid, f"sublet-{setup.claim.metadata.uid}-1"
    endpoint = Endpoint("https://west.example")
    for alias in ("west", "east"):
        setup.grants[uid, alias] = Grant(
            alias, home, endpoint, "old", DUE, Millis(DUE + 10**9), 10**9
        )
    await setup.renew()

    assert (setup.revoked("west"), setup.revoked("east")) == (1, 1)


@pytest.mark.parametrize(("is_there", "times"), [(False, 1), (True, 0)])
async def test_a_renewal_that_comes_before_the_look_sees_itself_that_the_secret_is_gone(
    *, is_there: bool, times: int
):
    setup = Setup("west", "east", claim=with_access(claim_on_both(), secret_version="5"))
    setup.hub.is_there = is_there
    access = await setup.renew()

    assert (setup.revoked("west"), setup.revoked("east")) == (times, times)
    assert (access.lost_time, access.secret_version) == (None, "9")


async def test_new_tokens_for_an_account_that_is_gone_see_that_the_secret_is_gone_too():
    setup = Setup("west", "east", claim=with_access(claim_on_both(), secret_version="5"))
    done = await mend._new_tokens(setup.claim, setup.tools)

    assert done.status.access is not None
    assert (setup.revoked("west"), setup.revoked("east")) == (1, 1)
    assert (done.status.access.lost_time, done.status.access.secret_version) == (None, "9")


async def test_a_move_that_becomes_ready_sees_that_the_secret_is_gone(
    monkeypatch: pytest.MonkeyPatch,
):
    both = with_access(claim_on_both(), secret_version="5")
    setup = Setup("west", "east", claim=on_the_way_east(both))

    async def nothing(*_: Any) -> None: ...

    for name in ("lock_all", "settle_in"):
        monkeypatch.setattr(relocate, name, nothing)
    monkeypatch.setattr(relocate, "prove", bind.grant)
    done = await relocate.grow(setup.claim, setup.tools, lambda: None)

    assert done.status.access is not None
    assert (setup.revoked("west"), setup.revoked("east")) == (1, 0)
    assert (done.status.access.lost_time, done.status.access.secret_version) == (None, "9")


def on_the_way_east(both: GpuClaim) -> GpuClaim:
    """Return a claim that is in the west alone, and is to have nodes in the east beside these."""
    west, east = allocation_of(both).placements
    places = (west, east.model_copy(update={"home": 2}))
    move = Move(sequence=2, cause=MoveCause.NODE_FAILED, decided_time=NOW, placements=places)
    alone = allocation_of(both).model_copy(update={"placements": (west,)})
    status = both.status.model_copy(update={"allocation": alone})
    each = both.model_copy(update={"status": status})
    return each.model_copy(update={"status": move_status.moving(each, move, NOW)})
