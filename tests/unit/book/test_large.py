"""A claim of as many GPUs as its spec may ask for is planned and told like any other, and holds up nobody."""

import pytest

from sublet.api import claim_status
from sublet.api.gpuclaim import Access
from sublet.api.times import Millis
from sublet.book.decisions import Plan, Refuse, Reserve
from sublet.book.inventory import Reach
from sublet.book.plan import plan
from tests.builders.api import NOW, as_claim, as_lease, claim, lease
from tests.builders.fleet import carried_out, inventory, nodes, reserve_of, view

GPUS, SIZE = 33_600, 16
COUNT = GPUS // SIZE + 1
WEST = as_lease(lease(committed=40_000))
FLEET = [(WEST, inventory(WEST, nodes(WEST, COUNT, gpus=SIZE)))]
OTHER = as_claim(claim("other"))


def planned(**spec) -> Plan:
    return plan(view([as_claim(claim("large", gpus=GPUS, **spec)), OTHER], FLEET))


@pytest.mark.parametrize(
    "spec", [{"suspended": True}, {"maxPricePerGpuHour": "0.01"}], ids=["quote", "price"]
)
def test_a_large_one_that_isnt_served_is_told_what_would_bind_and_others_are_served(spec):
    kinds = {type(d): d for d in planned(**spec).decisions}

    assert kinds.keys() == {Refuse, Reserve}
    assert [o.gpus for o in kinds[Refuse].offers] == [GPUS]


def test_a_large_one_whose_cluster_falls_silent_has_an_outage_and_others_are_planned():
    asked = as_claim(claim("large", gpus=GPUS))
    held = carried_out(asked, reserve_of(planned(), asked))
    status = claim_status.bound(held, NOW, Access(secret_name="x", clusters=()), NOW)
    held = held.model_copy(update={"status": status})
    silent = WEST.model_copy(
        update={"status": WEST.status.model_copy(update={"last_seen_time": NOW})}
    )
    unknown = inventory(silent, nodes(silent, COUNT, gpus=SIZE), reach=Reach.UNKNOWN)

    made = plan(view([held, OTHER], [(silent, unknown)], now_ms=Millis(NOW + 600_000)))

    assert {d.claim_uid for d in made.decisions} == {held.metadata.uid, OTHER.metadata.uid}
