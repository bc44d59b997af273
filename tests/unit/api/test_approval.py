"""What an approval counts for."""

import pytest

from sublet.api.approval import APPROVED, APPROVED_BY, approval_text, approved_gpus, approver
from sublet.api.gpuclaim import GpuClaim
from tests.builders.api import as_claim, claim

UID, CLASS = as_claim().metadata.uid, as_claim().spec.class_name


def approved(text: str, **spec) -> GpuClaim:
    each = as_claim(annotations={APPROVED: text, APPROVED_BY: "ann"})
    return each.model_copy(update={"spec": each.spec.model_copy(update=spec)})


def test_an_approval_names_the_claim_and_a_number_and_its_class():
    each = approved(approval_text(as_claim(claim(gpus=64))))

    assert (approved_gpus(each), approver(each)) == (64, "ann")


def test_for_another_class_it_counts_for_nothing():
    each = approved(f"{UID}=64,{CLASS}", class_name="dearer")

    assert (approved_gpus(each), approver(each)) == (0, "")


@pytest.mark.parametrize("what", ["", "64", f"{UID}=", f"{UID}=-1", f"{UID}=all", f"{UID}=²", "other=64", f"{UID}={'9' * 5_000}"])  # fmt: skip
def test_what_is_no_approval_of_this_claim_counts_for_nothing(what):
    each = approved(f"{what},{CLASS}")

    assert (approved_gpus(each), approver(each)) == (0, "")
