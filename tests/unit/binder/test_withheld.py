"""What only the Secret has isn't written over while it is good: after a restart the token of a silent cluster is that."""

from collections.abc import Callable
from typing import Any

import pytest

from sublet.api import access_status
from sublet.api.common import find_condition
from sublet.api.gpuclaim import Access, GpuClaim
from sublet.api.kinds import RELEASE_FINALIZER
from sublet.api.move_status import move_of
from sublet.api.times import MS_PER_SECOND, Millis, format_instant
from sublet.binder import bind, relocate
from sublet.binder.ports import ClusterSilent
from sublet.binder.withheld import asked_again_ms
from sublet.binder.work import Works
from sublet.kube.session import Endpoint
from tests.builders.renewals import DUE, Setup, claim_on_both, minted, with_access
from tests.unit.binder.test_revocation import on_the_way_east

HOUR = 3_600_000
LIFE = 6 * HOUR


async def restarted() -> Setup:
    """Return a claim whose tokens were renewed three hours ago, by another process, and whose east doesn't answer now."""
    setup = Setup("west", "east")
    mint_for(setup, LIFE)
    await setup.renew()
    setup.restart()
    setup.answer("west")
    await later(setup, 3 * HOUR)
    return setup


def mint_for(setup: Setup, life_ms: int) -> None:
    for api in setup.apis.values():
        end = format_instant(Millis(setup.now + life_ms))
        api.minted = {**minted(end=end), "spec": {"expirationSeconds": life_ms // MS_PER_SECOND}}
    setup.tools.token_life_seconds = life_ms // MS_PER_SECOND


async def later(setup: Setup, ms: int) -> None:
    setup.now = Millis(setup.now + ms)
    mint_for(setup, LIFE)


def ends(access: Access) -> dict[str, int]:
    return {c.alias: c.expiration_time for c in access.clusters}


def access_of(claim: GpuClaim) -> Access:
    assert claim.status.access is not None
    return claim.status.access


def said(setup: Setup) -> str:
    assert setup.hub.live is not None
    found = find_condition(setup.hub.live.status.conditions, access_status.RENEWED)
    assert found is not None
    return found.message


async def test_a_restart_takes_no_good_token_out_of_the_secret():
    setup = await restarted()
    access = await setup.renew(may_wait=True)

    assert setup.hub.contexts == ["east", "west"]
    assert ends(access) == {"east": setup.now + LIFE // 2, "west": setup.now + LIFE // 2}
    assert access.renewal_time == setup.now + 600_000
    assert said(setup).startswith(f"access to east lasts until {format_instant(setup.now + LIFE // 2)}")  # fmt: skip


async def test_a_renewal_that_is_due_leaves_the_secret_and_is_due_again_soon():
    setup = await restarted()
    assert setup.hub.live is not None
    meta = setup.hub.live.metadata.model_copy(update={"finalizers": (RELEASE_FINALIZER,)})
    claim = setup.hub.live.model_copy(update={"metadata": meta})
    nobody: Any = None
    works = Works(setup.tools, nobody)
    work = works.asked_for(claim)
    assert work is not None
    done = await work(claim, lambda: None)

    assert setup.hub.contexts == ["east", "west"]
    assert done is not None
    done = done.model_copy(update={"metadata": meta})
    assert works.asked_for(done) is None
    setup.now += 600_000
    assert works.asked_for(done) is not None


async def test_when_the_other_answers_again_both_are_renewed():
    setup = await restarted()
    await setup.renew(may_wait=True)
    setup.answer("west", "east")
    await later(setup, 600_000)
    access = await setup.renew(may_wait=True)

    assert setup.hub.contexts == ["east", "west"]
    assert ends(access) == {"east": setup.now + LIFE, "west": setup.now + LIFE}
    assert said(setup) == "every token was renewed"


async def test_before_the_others_token_ends_it_is_written_and_the_claim_says_what_it_lost():
    setup = await restarted()
    await setup.renew(may_wait=True)
    await later(setup, 2 * HOUR)  # a sixth of its life is left
    access = await setup.renew(may_wait=True)

    assert setup.hub.contexts == ["west"]
    assert ends(access) == {"west": setup.now + LIFE, "east": setup.now}
    assert said(setup).startswith(f"access to east ended {format_instant(setup.now)}")


async def test_what_is_left_for_less_than_a_minute_is_written_at_once():
    setup = await restarted()
    await later(setup, 2 * HOUR - 59_000)
    access = await setup.renew(may_wait=True)

    assert setup.hub.contexts == ["west"]
    assert access.renewal_time == setup.now + 600_000


async def test_a_token_that_ended_is_waited_for_by_nobody():
    setup = await restarted()
    await later(setup, 4 * HOUR)
    await setup.renew(may_wait=True)

    assert setup.hub.contexts == ["west"]


async def test_the_process_that_minted_the_other_token_writes_it_again():
    setup = Setup("west", "east")
    mint_for(setup, LIFE)
    await setup.renew()
    setup.answer("west")
    await later(setup, 3 * HOUR)
    access = await setup.renew(may_wait=True)

    assert setup.hub.contexts == ["east", "west"]
    assert ends(access) == {"east": setup.now + LIFE // 2, "west": setup.now + LIFE}


def of_a_cluster_that_moved(setup: Setup) -> None:
    for uid in setup.apis:
        if (cluster := setup.tools.cluster(uid)) is not None:
            cluster.tenant_endpoint = Endpoint("https://new.example:6443")


def of_a_secret_that_was_lost(setup: Setup) -> None:
    assert setup.hub.live is not None
    setup.hub.live = with_access(setup.hub.live, lost_time=DUE)


def of_a_restored_hub(setup: Setup) -> None:
    assert setup.hub.live is not None
    setup.hub.live = with_access(setup.hub.live, secret_version=None)


def of_an_account_that_was_deleted(setup: Setup) -> None:
    assert setup.hub.live is not None
    (dead,) = (c for c in access_of(setup.hub.live).clusters if c.alias == "west")
    said = access_status.dead(setup.hub.live, dead.alias, dead.namespace, setup.now)
    setup.hub.live = setup.hub.live.model_copy(update={"status": said})


@pytest.mark.parametrize(
    "spoil",
    [
        of_a_cluster_that_moved,
        of_a_secret_that_was_lost,
        of_a_restored_hub,
        of_an_account_that_was_deleted,
    ],
)
async def test_what_the_secret_has_is_no_reason_to_wait_if_it_is_of_no_use(
    spoil: Callable[[Setup], None],
):
    setup = await restarted()
    spoil(setup)
    access = await setup.renew(may_wait=True)

    assert setup.hub.contexts == ["west"]
    assert ends(access)["east"] == setup.now


@pytest.mark.parametrize("ahead_ms", [-12 * HOUR, 0, 12 * HOUR])
@pytest.mark.parametrize(
    ("life_ms", "left_ms", "waits_ms"),
    [
        (LIFE, LIFE // 2, 600_000),
        (600_000, 300_000, 200_000),
        (600_000, 600_000, 300_000),  # never later than tokens are renewed anyway
    ],
)
async def test_it_is_asked_again_before_the_token_is_near_its_end_by_any_clock(
    life_ms: int, left_ms: int, waits_ms: int, ahead_ms: int
):
    setup = Setup("west")
    setup.now += ahead_ms
    mint_for(setup, life_ms)
    setup.now -= ahead_ms
    access = await setup.renew()
    (granted,) = setup.grants.values()
    end = Millis(granted.expires_ms - life_ms + left_ms)
    known = tuple(c.model_copy(update={"expiration_time": end}) for c in access.clusters)
    old = access.model_copy(update={"clusters": known})

    assert asked_again_ms(old, {"west"}, [granted], setup.now) == setup.now + waits_ms


async def test_a_kubeconfig_that_leads_first_to_a_cluster_that_was_left_is_written_at_once():
    setup = await restarted()
    assert setup.hub.live is not None
    access = access_of(setup.hub.live)

    assert asked_again_ms(access, {"west"}, [], setup.now) is None
    assert asked_again_ms(access, {"west", "east"}, [], setup.now) is not None


def growing(monkeypatch: pytest.MonkeyPatch, cutover_in_ms: int | None) -> Setup:
    """Return a claim that was decided an hour ago to move from a silent cluster; another process minted its token."""
    each = on_the_way_east(with_access(claim_on_both(), secret_version="9"))
    now = DUE + 1_000
    cutover = None if cutover_in_ms is None else Millis(now + cutover_in_ms)
    times = {"decided_time": Millis(now - HOUR), "cutover_time": cutover}
    move = move_of(each).model_copy(update=times)
    each = each.model_copy(update={"status": each.status.model_copy(update={"move": move})})
    setup = Setup("east", claim=each)
    setup.hub.is_there = True

    async def nothing(*_: Any) -> None: ...

    for name in ("lock_all", "settle_in"):
        monkeypatch.setattr(relocate, name, nothing)
    monkeypatch.setattr(relocate, "prove", bind.grant)
    return setup


async def grown(setup: Setup) -> GpuClaim:
    return await relocate.grow(setup.claim, setup.tools, lambda: None)


async def test_a_move_waits_for_the_silent_cluster_that_it_leaves(monkeypatch: pytest.MonkeyPatch):
    setup = growing(monkeypatch, 2 * HOUR)
    with pytest.raises(ClusterSilent, match="west"):
        await grown(setup)

    assert setup.hub.kubeconfig == {}
    assert setup.hub.live is not None
    assert move_of(setup.hub.live).ready_time is None


@pytest.mark.parametrize("cutover_in_ms", [HOUR, None])
async def test_a_move_leaves_time_to_go_before_the_cutover_whoever_is_silent(
    monkeypatch: pytest.MonkeyPatch, cutover_in_ms: int | None
):
    setup = growing(monkeypatch, cutover_in_ms)
    done = await grown(setup)

    assert setup.hub.contexts == ["east"]
    assert move_of(done).ready_time == setup.now
    assert ends(access_of(done))["west"] == setup.now
