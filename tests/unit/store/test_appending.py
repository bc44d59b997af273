"""A version of the program that is rolled back writes anew, in its own words, what a newer one wrote of a claim."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sublet.api.downtime import Downtime, DowntimeCause
from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import ClaimUID, TenantUID
from sublet.api.times import Millis
from sublet.hub.meter import ClaimMeter, facts_of, texts_of
from sublet.ledger.entry import EntryKind, Fact
from sublet.ledger.port import LedgerConflict
from sublet.ledger.terms import content_hash
from sublet.store.sql import SqlLedger
from tests.builders.api import NOW, with_status
from tests.builders.fleet import released
from tests.builders.worlds import LATER, bound_claim, take

TRAIN = bound_claim()
WEST = TRAIN.status.allocation.placements[0].lease_uid
DOWN = with_status(
    TRAIN,
    downtimes=(
        Downtime(sequence=1, lease_uid=WEST, gpus=8, from_time=NOW, cause=DowntimeCause.GPUS_MISSING),
    ),
)  # fmt: skip


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[SqlLedger]:
    """Return an empty ledger."""
    found = SqlLedger(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    yield found
    await found.close()


def in_other_words(
    claim: GpuClaim, kind: EntryKind, **changes: Any
) -> tuple[list[Fact], dict[str, str]]:
    """Return a claim's lines and their texts, those of a kind with other fields."""
    facts, texts = facts_of(claim), texts_of(claim)
    (hash_,) = {f.price_hash for f in facts if f.kind is kind}
    text = json.dumps({**json.loads(texts.pop(hash_)), **changes}, sort_keys=True)
    texts[content_hash(text)] = text
    return [
        replace(f, price_hash=content_hash(text)) if f.kind is kind else f for f in facts
    ], texts


@pytest.mark.parametrize("kind", [EntryKind.TERMS, EntryKind.DOWNTIME])
async def test_what_a_newer_version_said_more_of_a_claim_holds(ledger: SqlLedger, kind: EntryKind):
    facts, texts = in_other_words(DOWN, kind, taxClass="reduced")
    await ledger.append(facts, texts)

    await ClaimMeter(ledger).settle(DOWN)

    assert await ledger.facts() == facts
    assert (await ledger.verify()).fault is None
    assert await ledger.intend_bound(ClaimUID("other"), 1, Millis(5)) == 5


async def test_a_bill_that_a_newer_version_began_ends(ledger: SqlLedger):
    await ledger.append(*in_other_words(TRAIN, EntryKind.TERMS, taxClass="reduced"))

    await ClaimMeter(ledger).settle(released(TRAIN, take(TRAIN), LATER, done=False))

    ends = [(f.kind, f.type, f.at_ms) for f in await ledger.facts()][2:]
    assert ends == [("bound", "close", LATER), ("releasing", "open", LATER)]


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        (EntryKind.TERMS, {"className": "other"}),
        (EntryKind.TERMS, {"rounding": {"minimumSeconds": 3_600}}),
        (EntryKind.DOWNTIME, {"cause": "NodeNotReady"}),
        (EntryKind.BOUND, {"perGpuHour": "0.01"}),
        (EntryKind.BOUND, {"unit": "hour"}),
    ],
)
async def test_what_contradicts_is_a_conflict_and_stops_new_binds(
    ledger: SqlLedger, kind: EntryKind, changes: dict[str, Any]
):
    await ledger.append(*in_other_words(DOWN, kind, **changes))

    with pytest.raises(LedgerConflict, match="is there with other content"):
        await ClaimMeter(ledger).settle(DOWN)
    with pytest.raises(LedgerConflict, match="no new binds"):
        await ledger.intend_bound(ClaimUID("other"), 1, Millis(5))


@pytest.mark.parametrize("change", [{"tenant_uid": TenantUID("other")}, {"gpus": 1}])
async def test_terms_of_another_tenant_or_of_gpus_are_a_conflict_whatever_their_text_says(
    ledger: SqlLedger, change: dict[str, Any]
):
    facts, texts = in_other_words(TRAIN, EntryKind.TERMS, taxClass="reduced")
    terms, *others = facts
    await ledger.append([replace(terms, **change), *others], texts)

    with pytest.raises(LedgerConflict, match="is there with other content"):
        await ClaimMeter(ledger).settle(TRAIN)
