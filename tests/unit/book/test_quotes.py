"""Who is told in a pass what it would get, if many ask: new ones first, and nobody loses what it was told."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from sublet.api import claim_status
from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import ClaimUID
from sublet.api.pending import NOT_LOOKED_AT, OfferKind, Pending, PendingReason
from sublet.api.times import Millis, format_instant
from sublet.book.backfill import SHADOWS
from sublet.book.decisions import Plan, Refuse
from sublet.book.plan import plan
from sublet.book.view import View
from tests.builders.api import NOW, as_claim, as_lease, claim, lease
from tests.builders.fleet import held, inventory, nodes, refusal_of, reserve_of, view
from tests.builders.windows import at

WEST = as_lease(lease("west", committed=64))
MINUTE_MS = 60_000


def fleet(count: int = 8):
    return [(WEST, inventory(WEST, nodes(WEST, count)))]


def quote(name: str, minutes: int = 0, **spec: Any) -> GpuClaim:
    """Return a suspended claim that was made so many minutes from now."""
    made = format_instant(Millis(NOW + minutes * MINUTE_MS))
    return as_claim(claim(name, suspended=True, **spec), creationTimestamp=made)


def parked(count: int, **spec: Any) -> list[GpuClaim]:
    return [quote(f"parked-{number}", -number, **spec) for number in range(1, count + 1)]


def told(seen: View, made: Plan) -> View:
    """Return the view once every refusal is written down."""
    said = {d.claim_uid: d for d in made.decisions if isinstance(d, Refuse)}
    claims = (_with(c, said.get(ClaimUID(c.metadata.uid))) for c in seen.claims)
    return replace(seen, claims=tuple(claims))


def _with(asked: GpuClaim, said: Refuse | None) -> GpuClaim:
    if said is None:
        return asked
    pending = Pending(reason=said.reason, message=said.message)
    status = claim_status.waiting(asked, pending, NOW, said.offers)
    return asked.model_copy(update={"status": status})


def looked_at(made: Plan, claims: Iterable[GpuClaim]) -> list[bool]:
    return [not refusal_of(made, c).message.endswith(NOT_LOOKED_AT) for c in claims]


def test_a_new_quote_is_answered_however_many_claims_are_parked():
    seen = view(parked(SHADOWS + 8), fleet())
    for _ in range(2):
        seen = told(seen, plan(seen))
    new = quote("new")

    made = plan(replace(seen, claims=(*seen.claims, new)))

    assert [o.change for o in refusal_of(made, new).offers] == [OfferKind.AS_ASKED]


def test_of_too_many_new_ones_the_newest_are_answered_and_the_others_told_that_they_wait():
    asked = parked(SHADOWS + 8)

    made = plan(view(asked, fleet()))

    assert looked_at(made, asked) == [True] * SHADOWS + [False] * 8


def test_those_that_wait_for_an_answer_get_it_soon():
    asked = parked(SHADOWS + 8)
    seen = view(asked, fleet())
    made = plan(seen)
    assert made.next_due_ms is not None
    assert made.next_due_ms <= NOW + 1_000

    anew = plan(replace(told(seen, made), now_ms=made.next_due_ms))

    assert all(looked_at(anew, asked))


def test_with_all_answered_there_is_nothing_to_come_back_for():
    seen = view(parked(SHADOWS + 8), fleet())
    for _ in range(2):
        seen = told(seen, plan(seen))

    assert (plan(seen).next_due_ms or at(1_000)) > NOW + 1_000


def test_what_was_told_stays_told_while_others_are_answered():
    seen = view(parked(SHADOWS + 8), fleet())
    for _ in range(2):
        seen = told(seen, plan(seen))

    assert told(seen, plan(seen)) == seen


def test_every_answer_is_renewed_in_its_turn():
    asked = parked(SHADOWS + 8)
    seen = view(asked, fleet(0))
    for _ in range(2):
        seen = told(seen, plan(seen))
    seen = replace(seen, inventories=view([], fleet()).inventories)

    for minutes in range(2):
        seen = told(seen, plan(replace(seen, now_ms=Millis(NOW + minutes * MINUTE_MS))))

    assert all(c.status.offers for c in seen.claims)


def test_a_quote_whose_spec_changed_is_looked_at_anew():
    seen = view(parked(SHADOWS + 8), fleet())
    for _ in range(2):
        seen = told(seen, plan(seen))
    first, *others = seen.claims
    meta = first.metadata.model_copy(update={"generation": 2})
    changed = first.model_copy(
        update={"metadata": meta, "spec": first.spec.model_copy(update={"gpus": 16})}
    )

    made = plan(replace(seen, claims=(*others, changed)))

    assert [o.gpus for o in refusal_of(made, changed).offers] == [16]


def test_a_claim_that_is_parked_now_for_another_reason_is_told_what_it_would_get():
    dear = quote("dear", -100, maxPricePerGpuHour="1.00")
    spec = dear.spec.model_copy(update={"suspended": False})
    seen = view([dear], fleet())
    waiting = told(seen, plan(seen)).claims[0].model_copy(update={"spec": spec})

    made = refusal_of(plan(view([waiting, *parked(SHADOWS)], fleet())), waiting)

    assert made.reason is PendingReason.PRICE_UNMET
    assert made.message.endswith(NOT_LOOKED_AT)


def busy_until(hours: float, count: int) -> GpuClaim:
    spec = {"schedule": {"durationSeconds": int(hours * 3_600)}}
    body = as_claim(claim("busy", gpus=8 * count, **spec))
    return held(body, WEST, nodes(WEST, count), until_ms=at(hours))


def test_a_quote_stands_behind_the_room_that_is_kept_for_those_that_wait():
    waiting = as_claim(claim("waiting", gpus=16, schedule={"durationSeconds": 4 * 3_600}))
    asked = quote("new", gpus=8, schedule={"durationSeconds": 7 * 86_400})

    made = plan(view([busy_until(1, 1), waiting, asked], fleet(2)))

    assert refusal_of(made, waiting).estimated_ms == at(1)
    found = {o.change: o for o in refusal_of(made, asked).offers}
    assert OfferKind.AS_ASKED not in found
    assert found[OfferKind.LATER].start_time == at(5)
    assert found[OfferKind.SHORTER].end_time == at(1)


def test_a_quote_stands_behind_those_that_the_same_pass_serves():
    waiting = [as_claim(claim(f"waiting-{n}")) for n in range(2)]
    asked = quote("new")

    made = plan(view([*waiting, asked], fleet(2)))

    assert all(reserve_of(made, each).placements for each in waiting)
    assert OfferKind.AS_ASKED not in {o.change for o in refusal_of(made, asked).offers}
