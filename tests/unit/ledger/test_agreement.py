"""Two versions of the program say what a claim agreed to in two texts; only what contradicts is a contradiction."""

import json
from decimal import Decimal
from typing import Any

import pytest

from sublet.api.downtime import DowntimeCause
from sublet.ledger.terms import PriceTerms
from sublet.ledger.texts.agreement import agree
from sublet.ledger.texts.evidence import Evidence
from sublet.ledger.texts.offer import ClassTerms
from sublet.ledger.texts.reservation import ReservationTerms
from tests.builders.api import as_class, gpu_class

ROUNDING = {"roundUpToSeconds": 60, "minimumSeconds": 0}
TERMS = {
    "kind": "reservation", "namespace": "acme", "name": "train", "className": "h100", "classUid": "u", "pricing": "Fixed",
    "rounding": ROUNDING, "requestedBy": "ann",
}  # fmt: skip
NEWER: dict[str, dict[str, Any]] = {
    "a field": {"taxClass": "reduced"},
    "an inner field": {"rounding": {**ROUNDING, "perNodeMinimum": 5}},
    "an object": {"invoicing": {"purchaseOrder": "7"}},
}
OTHER: dict[str, dict[str, Any]] = {
    "another class": {"className": "a100"},
    "another inner value": {"rounding": {**ROUNDING, "minimumSeconds": 3_600}},
    "an SLA": {"sla": {"graceSeconds": 0, "creditPercent": 1_000, "maxPercent": 100}},
    "no rounding": {"rounding": None},
    "a least amount": {"rounding": {**ROUNDING, "minimumAmount": "0.01"}},
    "another of a newer version's own": {"taxClass": "none"},
    "more of a newer version's own": {"steps": [1, 2]},
    "another kind": {"kind": "downtime"},
}


def text(**changes: Any) -> str:
    """Return what a claim agreed to, with changes; None: it isn't there."""
    return json.dumps({k: v for k, v in {**TERMS, **changes}.items() if v is not None})


def test_the_terms_here_are_such_as_are_written():
    assert json.loads(ReservationTerms.read(text()).text) == TERMS


@pytest.mark.parametrize("more", NEWER.values(), ids=NEWER)
def test_what_one_version_alone_knows_contradicts_nothing(more: dict[str, Any]):
    assert agree(text(**more), text())
    assert agree(text(), text(**more))


@pytest.mark.parametrize("change", OTHER.values(), ids=OTHER)
def test_what_both_versions_know_must_be_the_same(change: dict[str, Any]):
    written = text(taxClass="reduced", steps=[1])

    assert not agree(written, text(**{"taxClass": "reduced", "steps": [1], **change}))
    assert not agree(text(**{"taxClass": "reduced", "steps": [1], **change}), written)


def test_more_evidence_of_one_cause_is_the_same_and_another_cause_isnt():
    seen = Evidence(cause=DowntimeCause.GPUS_MISSING)
    newer = json.dumps({**json.loads(seen.text), "nodes": ["n1"]})

    assert agree(newer, seen.text)
    assert not agree(newer, Evidence(cause=DowntimeCause.NODE_NOT_READY).text)


def test_texts_of_objects_that_are_edited_and_prices_never_agree():
    offer = ClassTerms.of(as_class(gpu_class())).text
    price = PriceTerms(Decimal(1), "USD").text

    assert not agree(offer, offer[:-1] + ',"zzz":1}')
    assert not agree(price, price[:-1] + ',"zzz":1}')


@pytest.mark.parametrize("changed", ["{", "[]", ""])
def test_what_is_no_text_agrees_with_none(changed: str):
    assert not agree(changed, text())
    assert not agree(text(), changed)
