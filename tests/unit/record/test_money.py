"""Passes with budgets and usage are replayed byte for byte, and can be redacted while prices keep their ratios."""

from decimal import Decimal

import pytest

from sublet.api.ids import LeaseUID, TenantUID
from sublet.book.decisions import Extend, Refuse, Reserve
from sublet.book.plan import plan
from sublet.book.view import View
from sublet.record.codec import RecordError
from sublet.record.passes import Recorded, lines_of, read_pass, replay, write_pass
from sublet.record.redact import redact
from tests.builders.api import NOW, as_claim, as_lease, claim, lease
from tests.builders.fleet import carried_out, inventory, nodes, reserve_of, view
from tests.builders.money import CLASSES, account, payer
from tests.builders.sales import bound

WEST = as_lease(lease("west", committed=64))
FLEET = [(WEST, inventory(WEST, nodes(WEST, 4)))]


def asking(name: str, hours: int, class_name: str = "h100"):
    body = claim(name, class_name=class_name, schedule={"durationSeconds": hours * 3_600})
    return as_claim(body)


def spending() -> View:
    """Return a view in which one claim is drained, one is refused for money, and usage is known."""
    rich, spent = payer("900", at_limit="Drain"), payer("100", at_limit="Drain")
    spot = asking("spot", 20, "spot")
    made = plan(view([spot], FLEET, classes=CLASSES, tenants=(rich,), accounts=account()))
    return view(
        [bound(carried_out(spot, reserve_of(made, spot)), NOW), asking("asks", 9)],
        FLEET,
        classes=CLASSES,
        tenants=(spent,),
        accounts=account(100),
        usage={TenantUID(spent.metadata.uid): {LeaseUID(WEST.metadata.uid): 12_345}},
    )


def recorded(seen: View) -> Recorded:
    return Recorded(seen, lines_of(plan(seen)))


def test_a_pass_with_money_is_replayed_byte_for_byte():
    whole = recorded(spending())
    read = read_pass(write_pass(whole))

    assert {type(d) for d in plan(whole.view).decisions} == {Extend, Refuse}
    assert (read.view, replay(read)) == (whole.view, whole.lines)


def test_its_prices_and_names_are_hidden_together_with_the_budget():
    hidden = redact(recorded(spending()), Decimal("7.31843"))

    (tenant,) = hidden.view.tenants
    assert tenant.spec.budget is not None
    assert tenant.spec.budget.amount == Decimal("731.843")
    assert [*hidden.view.accounts] == [*hidden.view.usage] == [tenant.metadata.uid]
    assert tenant.metadata.uid != payer().metadata.uid
    assert replay(hidden) == hidden.lines


def test_ranks_for_prices_say_nothing_of_money_and_are_refused():
    asks = asking("asks", 9)
    seen = view([asks], FLEET, classes=CLASSES, tenants=(payer(),), accounts=account(0))
    assert isinstance(plan(seen).decisions[0], Reserve)

    with pytest.raises(RecordError, match="prices could keep their ratios"):
        redact(recorded(seen))
