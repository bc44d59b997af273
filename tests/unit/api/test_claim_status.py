"""The table of Ready and kstatus, state by state."""

import re

import pytest

from sublet.api import bound_status, claim_status
from sublet.api.common import find_condition, is_true
from sublet.api.gpuclaim import Access, Booking, ClaimStatus, ClusterAccess, GpuClaim, Release
from sublet.api.gpulease import LeaseStatus
from sublet.api.pending import Pending, PendingReason
from sublet.api.relocation import ReleaseCause
from sublet.api.times import Millis
from sublet.book.plan import plan
from sublet.crdgen.docstrings import field_docstrings
from tests.builders.api import NOW, as_claim, as_lease, claim as claim_body, with_status
from tests.builders.fleet import carried_out, inventory, nodes, reserve_of, view
from tests.builders.states import State, states

LATER = Millis(NOW + 60_000)


def reserved() -> GpuClaim:
    west, train = as_lease(), as_claim()
    return carried_out(
        train, reserve_of(plan(view([train], [(west, inventory(west, nodes(west, 1)))])), train)
    )


def bound() -> GpuClaim:
    access = Access(
        secret_name="s",
        clusters=(ClusterAccess(alias="west", namespace="n", expiration_time=LATER),),
    )
    claim = reserved()
    return with_status(claim, claim_status.bound(claim, NOW, access, NOW))


def releasing(cause: ReleaseCause = ReleaseCause.DELETED) -> GpuClaim:
    claim = bound()
    return with_status(
        claim,
        claim_status.releasing(claim, Release(cause=cause, release_time=NOW, sequence=1), NOW),
    )


def seen(claim: GpuClaim) -> dict[str, str]:
    return {c.type: c.status.value for c in claim.status.conditions}


@pytest.mark.parametrize("reason", list(PendingReason))
def test_a_claim_that_waits_is_reconciling_or_stalled_never_both(reason):
    claim = as_claim(claim_body(suspended=reason is PendingReason.SUSPENDED))
    waits = with_status(
        claim, claim_status.waiting(claim, Pending(reason=reason, message="m"), NOW)
    )
    marks = {"Reconciling", "Stalled"} & set(seen(waits))

    assert seen(waits)["Ready"] == ("True" if reason is PendingReason.SUSPENDED else "False")
    assert len(marks) == (0 if reason is PendingReason.SUSPENDED else 1)
    assert seen(waits)["Bound"] == "False"


def test_a_claim_of_a_suspended_tenant_isnt_as_it_should_be():
    claim = as_claim()
    pending = Pending(reason=PendingReason.SUSPENDED, message="m")
    waits = with_status(claim, claim_status.waiting(claim, pending, NOW))

    assert seen(waits)["Ready"] == "False"
    assert "Stalled" in seen(waits)


@pytest.mark.parametrize(
    ("claim", "ready", "marks", "holds"),
    [
        (reserved(), "False", {"Reconciling"}, True),
        (bound(), "True", set(), True),
        (releasing(), "False", {"Reconciling"}, True),
    ],
    ids=["reserved", "bound", "releasing"],
)
def test_each_state_shows_as_the_table_says(claim, ready, marks, holds):
    assert seen(claim)["Ready"] == ready
    assert {"Reconciling", "Stalled"} & set(seen(claim)) == marks
    assert is_true(claim.status.conditions, "Reserved") is holds


@pytest.mark.parametrize("cause", list(ReleaseCause))
def test_a_released_claim_has_ended_unless_its_cause_can_go(cause):
    claim = releasing(cause)
    done = with_status(claim, claim_status.released(claim, LATER))

    assert is_true(done.status.conditions, "Ended") is cause.is_final
    waits_again = not cause.is_final and cause is not ReleaseCause.SUSPENDED
    assert seen(done)["Ready"] == ("False" if waits_again else "True")
    assert not is_true(done.status.conditions, "Reserved")
    assert claim_status.released_ms(done) == LATER


def test_a_release_that_isnt_done_has_no_end():
    assert claim_status.released_ms(releasing()) is None
    assert claim_status.released_ms(bound()) is None


def test_the_same_state_again_is_the_same_status():
    claim = as_claim()
    pending = Pending(reason=PendingReason.WAITING_FOR_CAPACITY, message="m")
    once = with_status(claim, claim_status.waiting(claim, pending, NOW))

    assert claim_status.waiting(once, pending, LATER) == once.status


def test_a_condition_keeps_its_instant_while_its_status_stays():
    claim = as_claim()
    first = with_status(
        claim,
        claim_status.waiting(claim, Pending(reason=PendingReason.NO_TENANT, message="m"), NOW),
    )
    other = claim_status.waiting(
        first, Pending(reason=PendingReason.PRICE_UNMET, message="m"), LATER
    )

    ready = find_condition(other.conditions, "Ready")
    assert ready is not None
    assert (ready.reason, ready.last_transition_time) == ("PriceUnmet", NOW)


@pytest.mark.parametrize("cause", [cause for cause in ReleaseCause if not cause.is_final])
def test_what_a_term_ran_counts_when_the_claim_can_come_back(cause):
    claim = bound()
    for hours in (1, 2):
        end = Millis(NOW + 3_600_000)
        release = Release(cause=cause, release_time=end, sequence=1)
        going = with_status(claim, claim_status.releasing(claim, release, end))
        claim = with_status(going, claim_status.released(going, LATER))
        assert claim.status.used_milliseconds == hours * 3_600_000
        assert claim.status.allocation is not None
        claim = with_status(claim, claim_status.reserved(claim, claim.status.allocation, NOW))


def test_a_promise_that_was_given_up_used_nothing():
    claim = reserved()
    release = Release(cause=ReleaseCause.SUSPENDED, release_time=LATER, sequence=1)
    going = with_status(claim, claim_status.releasing(claim, release, LATER))

    assert with_status(going, claim_status.released(going, LATER)).status.used_milliseconds is None


def test_a_promise_that_loses_its_node_stays_promised_and_is_known_to_have_lost():
    claim = as_claim(claim_body(schedule={"startTime": "2026-11-22T09:00:00Z"}))
    found = reserved().status.allocation
    assert found is not None
    booking = Booking(lease="west", lease_uid="w", product="p", nodes=1, gpus_per_node=8)
    allocation = found.model_copy(update={"bookings": (booking,)})
    gives_back = with_status(claim, claim_status.reserved(claim, allocation, NOW))

    lost = with_status(gives_back, claim_status.unreserved(gives_back, "node is gone", LATER))

    assert is_true(lost.status.conditions, "Reserved")
    assert lost.status.allocation is not None
    assert lost.status.allocation.is_ahead
    assert claim_status.lost_race(lost)
    assert not claim_status.is_giving_back(lost)
    again = with_status(lost, claim_status.reserved(lost, allocation, LATER))
    assert not claim_status.lost_race(again)


def test_a_claim_that_was_taken_back_is_told_of_no_end_any_more():
    told = with_status(bound(), bound_status.expiring(bound(), "Preempted", "soon", NOW))
    release = Release(cause=ReleaseCause.PREEMPTED, release_time=NOW, sequence=1)
    going = with_status(told, claim_status.releasing(told, release, NOW))

    done = with_status(going, claim_status.released(going, LATER))

    assert seen(done)["Expiring"] == "False"
    never = claim_status.released(releasing(), LATER)
    assert "Expiring" not in {c.type for c in never.conditions}


@pytest.mark.parametrize("state", states(), ids=lambda s: s.name)
def test_kubectl_explain_names_every_condition_that_there_is(state: State):
    kinds = {"GpuClaim": ClaimStatus, "GpuLease": LeaseStatus}
    said = re.findall(r"\w+", field_docstrings(kinds[state.body["kind"]])["conditions"])

    assert {c["type"] for c in state.body["status"]["conditions"]} <= {*said}


def test_no_text_is_too_long_for_a_claim_to_give_back_what_it_took():
    lost = claim_status.giving_back(reserved(), "x" * 40_000, NOW)

    found = find_condition(lost.conditions, "Ready")
    assert found is not None
    assert len(found.message) == 32_768
