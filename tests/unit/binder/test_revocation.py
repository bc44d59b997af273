"""A kubeconfig that was lost: older tokens die in every cluster, once, also in one that was silent at first."""

from typing import Any

import pytest

from sublet.api.times import Millis
from sublet.binder.access import Grant
from sublet.drift import mend
from sublet.drift.access import SecretState
from sublet.kube.session import Endpoint
from tests.builders.renewals import DUE, Setup


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
