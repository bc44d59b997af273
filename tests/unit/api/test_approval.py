"""What an approval counts for."""

import pytest

from sublet.api.approval import APPROVED, APPROVED_BY, approval_text, approved_gpus, approver
from tests.builders.api import as_claim

UID = as_claim().metadata.uid


def approved(text: str):
    return as_claim(annotations={APPROVED: text, APPROVED_BY: "ann"}).metadata


def test_an_approval_names_the_claim_and_a_number():
    meta = approved(approval_text(UID, 64))

    assert (approved_gpus(meta), approver(meta)) == (64, "ann")


@pytest.mark.parametrize("text", ["", "64", f"{UID}=", f"{UID}=-1", f"{UID}=all", f"{UID}=²", "other=64"])  # fmt: skip
def test_what_is_no_approval_of_this_claim_counts_for_nothing(text):
    meta = approved(text)

    assert (approved_gpus(meta), approver(meta)) == (0, "")
