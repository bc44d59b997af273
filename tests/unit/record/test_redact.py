"""A redacted record decides the same under other names, and holds none of the names that it was made from."""

import re
from decimal import Decimal

import pytest
from hypothesis import assume, event, given, settings

from sublet.book.decisions import Plan
from sublet.book.plan import plan
from sublet.book.view import View
from sublet.record.codec import RecordError
from sublet.record.passes import Recorded, lines_of, read_pass, replay, write_pass
from sublet.record.redact import Cover, redact
from tests.builders.api import LONG_AGO, as_claim, as_class, as_lease, claim, lease, uid_of
from tests.builders.fleet import inventory, nodes, view
from tests.builders.passes import BUY, LIMITS, SELL, TENANTS, views

FACTOR = Decimal("7.31843")
UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def recorded(seen: View) -> Recorded:
    return Recorded(seen, lines_of(plan(seen)))


def under(cover: Cover, made: Plan) -> list[str]:
    """Return a plan's lines with the cover's words and prices put in, in messages too."""
    names = [word for word in cover.texts if word.startswith("qx") or UID.fullmatch(word)]
    pattern = "|".join(map(re.escape, sorted(names, key=len, reverse=True))) or "(?!)"
    words = re.compile(rf"(?<![\w-])({pattern})(?![\w-])")
    prices = re.compile(
        r'(?<=costs )[0-9.]+|(?<=maxPricePerGpuHour )[0-9.]+|(?<=hour":")[0-9.]+|(?<=Hour":")[0-9.]+'
    )
    return [
        prices.sub(
            lambda found: f"{cover.amounts[Decimal(found[0])]:f}",
            words.sub(lambda found: cover.texts[found[1]], line),
        )
        for line in lines_of(made)
    ]


@settings(max_examples=120, deadline=None)
@given(views())
def test_a_redacted_plan_is_the_plan_under_the_same_cover(seen: View):
    cover = Cover(seen, FACTOR)

    assert list(lines_of(plan(cover.of_view(seen)))) == under(cover, plan(seen))


@settings(max_examples=120, deadline=None)
@given(views())
def test_with_ranks_for_prices_it_is_that_too_or_an_error(seen: View):
    try:
        hidden = redact(recorded(seen))
    except RecordError as error:
        event(str(error))
        assume(False)

    assert list(hidden.lines) == under(Cover(seen), plan(seen))


@settings(max_examples=60, deadline=None)
@given(views())
def test_a_redacted_record_holds_no_word_of_the_original_and_can_be_replayed(seen: View):
    text = write_pass(redact(recorded(seen), FACTOR))
    uids = {*re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", write_pass(recorded(seen)))}
    words = [*BUY, *SELL, *filter(None, LIMITS), *TENANTS, "qx", "10.209", "77123", "north", *uids]

    assert [word for word in words if word in text] == []
    assert read_pass(text).redacted
    assert replay(read_pass(text)) == read_pass(text).lines


def test_what_kind_of_gpu_where_and_when_stays_readable():
    west = as_lease(lease("qxwest", jurisdiction="US"))
    seen = view([as_claim()], [(west, inventory(west, nodes(west, 2)))])
    hidden = redact(recorded(seen)).view

    assert hidden.now_ms == seen.now_ms
    assert hidden.leases[0].spec.product == west.spec.product
    assert hidden.leases[0].spec.location.jurisdiction == "US"
    assert hidden.leases[0].spec.location.region != west.spec.location.region
    assert hidden.leases[0].spec.commitment.phases[0].gpus == 64


def test_equal_names_stay_equal_and_keep_their_order():
    fleet = [(x, inventory(x, nodes(x, 12))) for x in map(as_lease, map(lease, ("qxz", "qxa")))]
    hidden = Cover(view([], fleet))

    assert sorted(hidden.texts) == sorted(hidden.texts, key=hidden.texts.__getitem__)
    assert len(set(hidden.texts.values())) == len(hidden.texts)


def test_prices_become_their_ranks_and_zero_stays():
    offers = [as_class(gpu) for gpu in map(priced, ("free", "dear", "cheap"), ("0", "9.90", "2.5"))]
    hidden = Cover(view([], [], classes=tuple(offers)))

    assert {str(a): str(b) for a, b in hidden.amounts.items()} == {
        "0": "0",
        "2.5": "1",
        "9.90": "2",
    }


def priced(name: str, price: str) -> dict:
    spec = {
        "products": [name],
        "prices": [{"effectiveTime": LONG_AGO, "perGpuHour": price}],
        "currency": "USD",
    }
    meta = {"name": name, "uid": uid_of(name)}
    return {"apiVersion": "v1", "kind": "GpuClass", "metadata": meta, "spec": spec}


def test_decisions_of_another_program_arent_redacted():
    whole = recorded(view([as_claim()], []))
    foreign = Recorded(whole.view, ('{"kind":"Plan"}',), program="0.0.1")

    with pytest.raises(RecordError, match=r"the version that made them \(0\.0\.1\)"):
        redact(foreign)


def test_a_cover_under_which_another_is_decided_gives_no_file(monkeypatch: pytest.MonkeyPatch):
    west, east = as_lease(lease("qxwest")), as_lease(lease("qxeast"))
    seen = view([as_claim(claim("qxone"))], [(x, inventory(x, nodes(x, 2))) for x in (west, east)])
    in_reverse = {
        text: f"n{i}" for i, text in enumerate(sorted(Cover(seen).texts, reverse=True), 1000)
    }
    monkeypatch.setattr("sublet.record.redact._placeholders", lambda _: in_reverse)

    with pytest.raises(RecordError, match="decides otherwise"):
        redact(recorded(seen))
