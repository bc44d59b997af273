"""Texts of the ledger never change under their hashes: what was written must be found again by every later version."""

import json
from collections.abc import Iterable, Iterator
from functools import reduce
from operator import getitem
from typing import Any

import pytest

from sublet.api.billing import ClassSla, Rounding
from sublet.api.downtime import DowntimeCause
from sublet.api.gpulease import GpuLease
from sublet.api.times import MS_PER_HOUR
from sublet.ledger.interval import BrokenLedger
from sublet.ledger.terms import content_hash, parse_price
from sublet.ledger.texts.adjustment import Adjustment
from sublet.ledger.texts.base import Text
from sublet.ledger.texts.evidence import Evidence
from sublet.ledger.texts.lease import LeaseTerms
from sublet.ledger.texts.offer import ClassTerms
from sublet.ledger.texts.period import BilledCharge, PeriodText
from sublet.ledger.texts.rates import Rates
from sublet.ledger.texts.reservation import ReservationTerms
from sublet.ledger.texts.tenant import TenantTerms
from tests.builders.api import LONG_AGO, as_class, as_lease, as_tenant, gpu_class, lease, tenant

FULL: dict[str, Text] = {
    "lease": LeaseTerms.of(
        as_lease(
            lease(
                billing={"timeZone": "Europe/Madrid", "dayCutHour": 17, "minimumSeconds": 60},
                sla={"graceSeconds": 300, "claimWithinDays": 30},
            )
        )
    ),
    "class": ClassTerms.of(as_class(gpu_class(pricing="Floating"))),
    "tenant": TenantTerms.of(
        as_tenant(tenant(discounts=[{"effectiveTime": LONG_AGO, "percent": 10}]))
    ),
    "reservation": ReservationTerms(
        namespace="acme", name="train", class_name="h100", rounding=Rounding(minimum_seconds=60), sla=ClassSla()
    ),
    "rates": Rates.model_validate(
        {"reportingCurrency": "EUR", "rates": [{"currency": "USD", "effectiveTime": LONG_AGO, "rate": "0.90"}]}
    ),
    "adjustment": Adjustment(period="2026-09", amount="-12.50", currency="USD", reason="late", by="ann"),
    "downtime": Evidence(cause=DowntimeCause.NODE_NOT_READY),
    "period": PeriodText(
        tenant="acme", account="ACME-1", month="2026-09", from_time=0, to_time=MS_PER_HOUR, seq=7, head="ab" * 32,
        charges=(
            BilledCharge(
                category="Use", from_ms=0, to_ms=MS_PER_HOUR, gpu_milliseconds=8 * MS_PER_HOUR, list_price="2.50",
                price="9/4", currency="USD", list_amount="20", amount="18", first_seq=1, last_seq=2,
            ),
        ),
    ),
}  # fmt: skip
HASHES = {
    "lease": "4ae72f4a60bfaec3770954ac6a7b9e247c438f8f086782eb485db797e6246558",
    "class": "6d64a4a7e97b9e4f8cd623c47c4bf8e570320ea9ff9736b279094d57f3a16fdf",
    "tenant": "d6f7f1d7791c22df5cdf722d91e726c2095d2056321ef44a321e39d128811f1b",
    "reservation": "b969935726e0181b5bcfce6e5f7ce4aeecd61f6e662eb5fcbd1e57e1ebe2a03c",
    "rates": "60ea57809b25c9d1ac6fa12ff6321e6d3c56cb9940d6133e011226fe4647ceeb",
    "adjustment": "6e0f3992a12dbab607cc1945d802b0cd419fabd9b001574e21cca094be5bbf50",
    "downtime": "65340b347b6672a4a15dc841c5e29eaba52994eb51929ee2f43546cc00c7768c",
    "period": "6a75902254108bc9416afd1600a5be3103d5c492ed16a292b521f0172dc81113",
}
"""kind -> hash of the text above"""


@pytest.mark.parametrize("kind", FULL)
def test_a_field_that_is_added_later_is_none_by_default_so_that_no_hash_changes(kind: str):
    assert FULL[kind].hash == HASHES[kind]


@pytest.mark.parametrize("kind", FULL)
def test_a_text_comes_back_as_it_was_with_what_a_newer_version_put_in(kind: str):
    text = FULL[kind].text
    newer = text[:-1] + ',"zzz":1}'

    assert type(FULL[kind]).read(text).text == text
    assert type(FULL[kind]).read(newer).text == newer


def places(value: Any, *path: Any) -> Iterator[tuple[Any, ...]]:
    """Yield the path to every object of some JSON, the outermost too."""
    inner: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        yield path
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    for key, each in inner:
        yield from places(each, *path, key)


@pytest.mark.parametrize(
    ("kind", "path"), [(k, path) for k, text in FULL.items() for path in places(json.loads(text.text))]
)  # fmt: skip
def test_what_a_newer_version_put_in_at_any_depth_changes_no_hash(kind: str, path: tuple[Any, ...]):
    fields = json.loads(FULL[kind].text)
    reduce(getitem, path, fields)["purchaseOrder"] = {"number": 7}
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"))

    assert type(FULL[kind]).read(text).hash == content_hash(text)


def test_a_text_of_another_kind_is_none():
    with pytest.raises(BrokenLedger, match="is no tenant"):
        TenantTerms.read(FULL["lease"].text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (FULL["reservation"].text.replace("Fixed", "Tiered"), r"\(pricing: Input should be"),
        (
            FULL["reservation"].text.replace('"namespace"', '"where"'),
            r"\(namespace: Field required",
        ),
        ("[]", "is no reservation"),
        ("{", "it is no JSON"),
    ],
)
def test_a_text_that_this_version_doesnt_know_is_named_by_its_hash_in_one_line(text: str, why: str):
    with pytest.raises(BrokenLedger, match=why) as broken:
        ReservationTerms.read(text)

    said = str(broken.value)
    assert f"the text of hash {content_hash(text)}" in said
    assert "written by a newer" in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    "text", ['{"kind":"tiered"}', '{"kind":"fixed"}', '{"currency":"USD","kind":"fixed","perGpuHour":"x"}', "[]", "7"]
)  # fmt: skip
def test_a_price_that_this_version_doesnt_know_is_named_by_its_hash(text: str):
    with pytest.raises(BrokenLedger, match=f"the text of hash {content_hash(text)}"):
        parse_price(text)


def test_what_isnt_of_money_changes_no_text():
    def said(**spec: object) -> str:
        found: GpuLease = as_lease(lease(**spec))
        return LeaseTerms.of(found).text

    assert said(acceptingClaims=False, nodeSharing="None") == said()
    assert said(provider="other") != said()
