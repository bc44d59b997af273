"""What must hold while fleets live on a budget: the laws of histories, with money."""

from dataclasses import replace
from typing import Any

from hypothesis import given, settings, strategies as st

from sublet.api.ids import TenantUID
from sublet.api.times import MS_PER_HOUR, Millis
from sublet.book.account import Account
from sublet.book.decisions import Extend, Refuse, Reserve, Take
from sublet.book.plan import plan
from sublet.book.view import View
from tests.builders.api import (
    as_claim,
    as_class,
    as_lease,
    as_tenant,
    claim,
    gpu_class,
    lease,
    tenant,
)
from tests.builders.fleet import after, inventory, nodes, view
from tests.builders.histories import at, histories, passes
from tests.builders.money import CLASSES, DECEMBER, account, payer
from tests.builders.sales import bound
from tests.unit.book.test_histories import UNTIMED

limits = st.sampled_from(["Hold", "Drain"])


@st.composite
def paid(draw: st.DrawFn) -> tuple[Any, dict[str, Any]]:
    """Draw a history, and the money that its tenants are found to have after it."""
    seen, ticks = draw(histories())
    tenants, known = [], dict[TenantUID, Account]()
    for name in ("acme", "globex"):
        amount = {"amount": str(draw(st.integers(1, 900))), "atLimit": draw(limits)}
        budget = {"currency": "USD", "period": "Month", **amount}
        tenants.append(as_tenant(tenant(name, namespaces=(name,), budget=budget)))
        if draw(st.integers(0, 9)):
            known |= account(draw(st.integers(0, 100)), of=tenants[-1])
    kind = draw(st.sampled_from(["Guaranteed", "Preemptible"]))
    notice = draw(st.sampled_from([0, 600]))
    classes = (as_class(gpu_class(guarantee=kind, noticeSeconds=notice)),)
    seen = replace(seen, classes=classes)
    return (seen, ticks), {"tenants": tuple(tenants), "accounts": known}


def billed(seen: View, **money: Any) -> View:
    """Return the view once all that is reserved is bound."""
    claims = (
        bound(c, seen.now_ms)
        if (held := c.status.allocation)
        and held.placements
        and held.bound_time is None
        and c.status.release is None
        else c
        for c in seen.claims
    )
    return replace(seen, claims=tuple(claims), **money)


def assert_same_until_due(seen: View, share: float) -> None:
    rest = plan(seen)
    if [d for d in rest.decisions if not isinstance(d, Refuse)]:
        return  # it isn't at rest: the next pass is at once
    due = rest.next_due_ms or at(1_000)
    for when in (seen.now_ms + int(share * (due - 1 - seen.now_ms)), due - 1):
        assert plan(replace(seen, now_ms=Millis(when))).decisions == rest.decisions


@settings(UNTIMED, max_examples=50)
@given(paid(), st.floats(0, 1))
def test_until_the_book_looks_again_the_same_objects_are_decided_the_same(drawn, share: float):
    history, money = drawn
    for before, made in passes(history):
        assert_same_until_due(billed(after(before, made), **money), share)


waiting = st.lists(
    st.tuples(st.sampled_from([8, 16, 24]), st.none() | st.integers(1, 30)), min_size=1, max_size=4
)


@settings(UNTIMED, max_examples=150)
@given(
    waiting, st.integers(1, 40), st.integers(0, 99), st.none() | st.integers(1, 50), st.floats(0, 1)
)
def test_that_holds_at_the_end_of_a_period_too(asked, before, spent, lease_hours, share):
    now = Millis(DECEMBER - before * MS_PER_HOUR)
    each = as_lease(lease(committed=64))
    if lease_hours is not None:
        end = Millis(DECEMBER - 20 * MS_PER_HOUR + lease_hours * MS_PER_HOUR)
        term = each.spec.term.model_copy(update={"end_time": end})
        each = each.model_copy(update={"spec": each.spec.model_copy(update={"term": term})})
    claims = [
        as_claim(
            claim(f"c{i}", gpus=gpus, schedule={"durationSeconds": hours * 3600} if hours else {})
        )
        for i, (gpus, hours) in enumerate(asked)
    ]
    seen = view(
        claims,
        [(each, inventory(each, nodes(each, 8)))],
        classes=CLASSES,
        tenants=(payer(),),
        accounts=account(spent, as_of_ms=now),
        now_ms=now,
    )

    rested = after(seen, plan(seen))

    assert_same_until_due(billed(rested), share)


@settings(UNTIMED, max_examples=50)
@given(paid())
def test_carried_out_decisions_come_to_rest(drawn):
    history, money = drawn
    for before, made in passes(history):
        seen = billed(after(before, made), **money)
        for _ in range(3):  # nodes, what others gave back, what that left of the money
            seen = billed(after(seen, plan(seen)))
        moves = [d for d in plan(seen).decisions if isinstance(d, Extend | Take | Reserve)]
        assert moves == []
