"""A backup that was taken while a claim was being bound: the ledger has it bound since, and it goes on so, or stays held."""

from dataclasses import replace
from typing import Any

import pytest

from sublet.api.common import is_true
from sublet.api.gpuclaim import GpuClaim
from sublet.api.relocation import LeaseGpus
from sublet.binder.access import is_renewal_due
from sublet.cli.keeping.catching_up import Begun
from sublet.cli.keeping.mapping import Term, Verdict, is_behind
from sublet.hub.meter import facts_of
from sublet.ledger.entry import EntryKind
from tests.builders.fleet import bound
from tests.unit.cli.keeping.test_mapping import (
    FULL,
    LATER,
    LEASE_UID,
    NODES,
    OLD,
    RESERVED,
    goes_on,
    held,
    row,
)

BOUND_SINCE = bound(RESERVED, LATER)
"""As the claim became a minute after a backup that has it being bound."""


def begun(**fields: Any) -> Begun:
    """Return how the ledger has the beginning of its bill."""
    line = next(f for f in facts_of(BOUND_SINCE) if f.kind is EntryKind.BOUND)
    leases = (LeaseGpus(lease_uid=line.lease_uid, gpus=line.gpus),)
    return replace(Begun(line.at_ms, leases, line.price_hash, line.tags_hash), **fields)


def test_what_was_being_bound_in_the_backup_and_is_billed_by_the_ledger_goes_on_as_bound():
    found = row(FULL, held(RESERVED), Term(1, None, begun()))
    after = goes_on(found)

    assert (found.verdict, found.note) == (Verdict.ADOPT, "2 of 2 nodes hold it")
    assert is_true(after.status.conditions, "Bound")
    assert [f.content for f in facts_of(after)] == [f.content for f in facts_of(BOUND_SINCE)]


def test_what_was_being_bound_gets_its_kubeconfig_at_its_adoption():
    after = goes_on(row(FULL, held(RESERVED), Term(1, None, begun())))

    (way,) = after.status.access.clusters
    assert (way.alias, way.namespace) == ("west", f"sublet-{OLD}-1")
    assert is_renewal_due(after, 3_600, LATER)


def test_what_was_being_bound_and_no_node_holds_any_more_is_billed_for_nothing():
    found = row({n.uid: {} for n in NODES}, held(RESERVED), Term(1, None, begun()))
    bills = [f for f in facts_of(goes_on(found)) if f.kind is EntryKind.BOUND]

    assert found.verdict is Verdict.END
    assert [(f.type.value, f.at_ms) for f in bills] == [("open", LATER), ("close", LATER)]


@pytest.mark.parametrize(
    "term",
    [
        Term(1, None),
        Term(1, None, begun(leases=(LeaseGpus(lease_uid=LEASE_UID, gpus=8),))),
        Term(1, None, begun(price_hash="other")),
        Term(1, None, begun(tags_hash="other")),
    ],
    ids=["an older operator", "other GPUs", "another price", "other tags"],
)
def test_what_was_being_bound_and_is_billed_otherwise_stays_held(term: Term):
    found = row(FULL, held(RESERVED), term)

    assert (found.verdict, found.note) == (
        Verdict.DIFFERS,
        "by the ledger it was bound after the backup",
    )


@pytest.mark.parametrize(
    ("claim", "term", "behind"),
    [
        (RESERVED, Term(1, None), True),
        (RESERVED, Term(1, LATER), True),
        (BOUND_SINCE, Term(1, None), False),
        (BOUND_SINCE, Term(1, LATER), True),
        (BOUND_SINCE, Term(2, None), True),
    ],
)
def test_the_ledger_knows_more_of_a_claim_that_isnt_bound_and_is_billed(
    claim: GpuClaim, term: Term, behind: bool
):
    assert is_behind(claim, term) is behind
