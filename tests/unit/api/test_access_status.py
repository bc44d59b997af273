"""What a bound claim says about its way in."""

from sublet.api import access_status, claim_status
from sublet.api.common import find_condition, is_true
from sublet.api.gpuclaim import Access, ClusterAccess, GpuClaim, Release
from sublet.api.relocation import ReleaseCause
from sublet.api.times import Millis
from sublet.book.plan import plan
from tests.builders.api import NOW, as_claim, as_lease
from tests.builders.fleet import bound, carried_out, inventory, nodes, reserve_of, view

HOUR = 3_600_000


def access(**ends: int) -> Access:
    clusters = tuple(
        ClusterAccess(alias=alias, namespace="n", expiration_time=Millis(NOW + at))
        for alias, at in ends.items()
    )
    return Access(secret_name="s", clusters=clusters)


def claim() -> GpuClaim:
    west, train = as_lease(), as_claim()
    made = plan(view([train], [(west, inventory(west, nodes(west, 1)))]))
    return bound(carried_out(train, reserve_of(made, train)))


def after(each: GpuClaim, *behind: str, now: int = NOW) -> GpuClaim:
    status = access_status.renewed(each, access(west=HOUR, east=2 * HOUR), behind, Millis(now))
    return each.model_copy(update={"status": status})


def said(each: GpuClaim) -> tuple[str, str] | None:
    found = find_condition(each.status.conditions, access_status.RENEWED)
    return (found.status.value, found.message) if found else None


def test_a_claim_whose_tokens_are_renewed_in_time_says_nothing():
    assert said(after(claim())) is None


def test_a_cluster_that_is_away_is_named_with_the_instant_until_which_there_is_access():
    status, message = said(after(claim(), "west"))

    assert status == "False"
    assert message == (
        "access to west lasts until 2026-11-22T11:00:00Z: the cluster gives no new token; renewal is tried again"
    )


def test_an_end_that_is_past_is_said_to_be():
    _, message = said(after(claim(), "west", now=NOW + HOUR))

    assert message.startswith("access to west ended 2026-11-22T11:00:00Z")


def test_the_same_word_is_written_once():
    once = after(claim(), "west")

    assert after(once, "west", now=NOW + 60_000).status == once.status


def test_it_stays_bound_and_ready_and_says_when_all_is_well_again():
    late = after(claim(), "west")
    assert is_true(late.status.conditions, "Bound")
    assert is_true(late.status.conditions, "Ready")

    assert said(after(late)) == ("True", "every token was renewed")


def test_a_claim_that_is_released_has_no_access_to_speak_of():
    release = Release(cause=ReleaseCause.DELETED, release_time=NOW, sequence=1)
    late = after(claim(), "west")
    gone = late.model_copy(update={"status": claim_status.releasing(late, release, NOW)})

    assert said(gone) is None


def test_tokens_of_an_account_that_is_gone_end_now_and_no_others():
    each = after(claim())
    dead = access_status.dead(each, "east", "n", Millis(NOW + 1_000)).access

    assert dead.renewal_time == NOW + 1_000
    assert [c.expiration_time for c in dead.clusters] == [NOW + HOUR, NOW + 1_000]


def test_what_ended_before_its_account_went_ended_then():
    each = after(claim())
    late = Millis(NOW + 3 * HOUR)

    assert access_status.dead(each, "west", "n", late).access.clusters[0].expiration_time == NOW + HOUR  # fmt: skip


def test_a_lost_secret_is_due_at_once_and_a_second_loss_counts_from_then():
    each = after(claim())
    first, second, now = Millis(NOW + 1_000), Millis(NOW + 2_000), Millis(NOW + 500)
    lost = access_status.lost(each, first, now)
    again = access_status.lost(each.model_copy(update={"status": lost}), second, now)

    assert (lost.access.lost_time, lost.access.renewal_time) == (first, now)
    assert again.access.lost_time == second
