"""What a class says of money, and what claims agreed to, is replayed byte for byte and hidden with prices and names."""

from decimal import Decimal

from sublet.api.gpuclass import Pricing
from sublet.api.times import Millis
from sublet.book.decisions import Dearer, Fail, Reserve
from sublet.book.plan import plan
from sublet.book.view import View
from sublet.record.passes import Recorded, lines_of, read_pass, replay, write_pass
from sublet.record.redact import redact
from tests.builders.api import NOW, as_claim, claim
from tests.builders.fleet import view
from tests.unit.book.test_downtime import DOWN, WEST
from tests.unit.book.test_floating import HOUR, ROUNDING, SLA, floats, served

OFFER = floats((2, "5.00"), rounding=ROUNDING, sla=SLA)


def seen() -> View:
    """Return a view in which one claim is served, one is told of its price and one lost its node."""
    limited = served(OFFER, maxPricePerGpuHour="4")
    return view(
        [limited, as_claim(claim("asks"))], [WEST], classes=(OFFER,), now_ms=Millis(NOW + 2 * HOUR)
    )


def recorded(view_: View) -> Recorded:
    return Recorded(view_, lines_of(plan(view_)))


def test_terms_are_replayed_byte_for_byte():
    whole = recorded(seen())
    read = read_pass(write_pass(whole))

    assert {type(d) for d in plan(whole.view).decisions} == {Dearer, Reserve}
    assert (read.view, replay(read)) == (whole.view, whole.lines)


def test_names_and_amounts_of_terms_are_hidden_and_the_same_is_decided():
    hidden = redact(recorded(seen()), Decimal("7.31843"))

    (reserve,) = (d for d in plan(hidden.view).decisions if isinstance(d, Reserve))
    assert reserve.agreed.pricing is Pricing.FLOATING
    assert reserve.agreed.class_uid == hidden.view.classes[0].metadata.uid != OFFER.metadata.uid
    assert reserve.agreed.rounding is not None
    assert reserve.agreed.rounding.minimum_amount == Decimal("1.5") * Decimal("7.31843")


def test_a_downtime_is_recorded_and_hidden():
    down = view([served(OFFER)], [DOWN], classes=(OFFER,), now_ms=Millis(NOW + 5))

    (fail,) = (d for d in plan(redact(recorded(down)).view).decisions if isinstance(d, Fail))
    assert (fail.downtimes[0].gpus, fail.downtimes[0].from_time) == (8, NOW + 5)
