"""The phases of leases as FOCUS has them: one contract commitment each. Pure.

A negotiated lease is a commitment to pay for secured capacity, so its benefit is availability and its measure GPU-hours.
A phase that was changed is another commitment from then on, and so are options that begin before the first phase.
"""

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

import pyarrow as pa

from sublet.api.ids import LeaseUID
from sublet.api.lease_terms import CommitmentMode
from sublet.api.times import MS_PER_HOUR, Millis, format_instant
from sublet.export.focus.columns import Column, Kind
from sublet.export.focus.records import table
from sublet.export.focus.said import UNIT
from sublet.export.focus.steps import OPEN_END, Step, steps
from sublet.ledger.texts.lease import LeaseTerms

_MS_PER_DAY: Final = 24 * MS_PER_HOUR
_COLUMNS: Final = (
    Column("BillingCurrency"),
    Column("ContractCommitmentApplicability"),
    Column("ContractCommitmentBenefitCategory"),
    Column("ContractCommitmentCategory"),
    Column("ContractCommitmentCost", Kind.COST),
    Column("ContractCommitmentCreated", Kind.TIME),
    Column("ContractCommitmentDescription"),
    Column("ContractCommitmentDiscountPercentage", Kind.PRICE),
    Column("ContractCommitmentDurationType"),
    Column("ContractCommitmentFulfillmentInterval"),
    Column("ContractCommitmentId"),
    Column("ContractCommitmentLastUpdated", Kind.TIME),
    Column("ContractCommitmentLifecycleStatus"),
    Column("ContractCommitmentModel"),
    Column("ContractCommitmentOfferCategory"),
    Column("ContractCommitmentPaymentInterval"),
    Column("ContractCommitmentPaymentModel"),
    Column("ContractCommitmentPaymentUpfrontPercentage", Kind.PRICE),
    Column("ContractCommitmentPeriodEnd", Kind.TIME),
    Column("ContractCommitmentPeriodStart", Kind.TIME),
    Column("ContractCommitmentQuantity", Kind.QUANTITY),
    Column("ContractCommitmentType"),
    Column("ContractCommitmentUnit"),
    Column("ContractId"),
    Column("ContractPeriodEnd", Kind.TIME),
    Column("ContractPeriodStart", Kind.TIME),
    Column("InvoiceIssuerName"),
    Column("ServiceProviderName"),
    Column("x_ExercisedOptions", Kind.COUNT),
    Column("x_LeaseId"),
)


class Profile(StrEnum):
    """As what a commitment is shown."""

    CAPACITY_RESERVATION = "capacity-reservation"
    """Secured capacity that is paid for whether used or not: what a negotiated lease is."""
    COMMITMENT_DISCOUNT = "commitment-discount"
    """For public programmes, and readers that know those columns alone."""


def commitment_id(terms: LeaseTerms, phase: str) -> str:
    """Return the id of a step; leases of one contract may number their phases alike, so the lease's name is in it."""
    return f"{terms.contract.id}/{terms.name}/{phase}"


def phase_in(commitment: Mapping[str, Any]) -> str:
    """Return which step of its lease a contract commitment is."""
    identity, contract = str(commitment["ContractCommitmentId"]), str(commitment["ContractId"])
    return identity.removeprefix(f"{contract}/").partition("/")[2]


def by_discount(terms: LeaseTerms, profile: Profile) -> bool:
    """Say whether a lease's rows have the columns of commitment discounts, rather than those of reserved capacity.

    Where only use is paid for nothing is discounted.
    """
    takes = terms.commitment.mode is CommitmentMode.TAKE_OR_PAY
    return takes and profile is Profile.COMMITMENT_DISCOUNT


def contract_commitments(
    leases: Mapping[LeaseUID, LeaseTerms], as_of_ms: Millis, profile: Profile
) -> pa.Table:
    """Return the Contract Commitment of FOCUS 1.4."""
    records = [
        _record(uid, terms, step, as_of_ms, profile)
        for uid, terms in sorted(leases.items())
        for step in steps(terms)
    ]
    return table(_COLUMNS, records)


def _record(
    uid: LeaseUID, terms: LeaseTerms, step: Step, as_of_ms: Millis, profile: Profile
) -> dict[str, Any]:
    start, identity = step.begin_ms, commitment_id(terms, step.phase)
    named = ("CommitmentDiscountId", identity)
    dimension, value = named if by_discount(terms, profile) else ("CapacityReservationId", str(uid))
    rule = {"Dimension": dimension, "Operator": "In", "Values": [value]}
    days = max(1, round((step.end_ms - start) / _MS_PER_DAY))
    return {
        "ContractCommitmentApplicability": json.dumps(
            {"InclusionOperator": "And", "Inclusions": [rule]}
        ),
        "ContractCommitmentBenefitCategory": "Availability",
        "ContractCommitmentCategory": "Usage",
        "ContractCommitmentCreated": terms.term.start_time,
        "ContractCommitmentDescription": _description(terms, step),
        "ContractCommitmentDurationType": f"{days} Days",
        "ContractCommitmentFulfillmentInterval": "Hourly",
        "ContractCommitmentId": identity,
        "ContractCommitmentLastUpdated": max(terms.term.start_time, min(start, as_of_ms)),
        "ContractCommitmentLifecycleStatus": _status(step, as_of_ms),
        "ContractCommitmentModel": "Continuous",
        "ContractCommitmentOfferCategory": "Negotiated",
        "ContractCommitmentPaymentInterval": "Monthly",
        "ContractCommitmentPaymentModel": "No Upfront",
        "ContractCommitmentPaymentUpfrontPercentage": 0,
        "ContractCommitmentPeriodEnd": step.end_ms,
        "ContractCommitmentPeriodStart": start,
        "ContractCommitmentQuantity": terms.commitment.gpus_at(start),
        "ContractCommitmentType": "GPU capacity",
        "ContractCommitmentUnit": UNIT,
        "ContractId": terms.contract.id,
        "ContractPeriodEnd": terms.term.end_time or OPEN_END,
        "ContractPeriodStart": terms.term.start_time,
        "InvoiceIssuerName": terms.provider,
        "ServiceProviderName": terms.provider,
        "x_ExercisedOptions": len(_options(terms, step)),
        "x_LeaseId": str(uid),
    }


def _options(terms: LeaseTerms, step: Step) -> list[str]:
    """Return what is committed from some instant within a step on, beside its GPUs."""
    return [
        f"{o.gpus} more from {format_instant(o.start_time)}"
        for o in terms.commitment.options
        if o.exercised and step.begin_ms < o.start_time < step.end_ms
    ]


def _description(terms: LeaseTerms, step: Step) -> str:
    gpus = terms.commitment.gpus_at(step.begin_ms)
    said = f"{gpus} GPUs {terms.product} ({terms.commitment.mode.value})"
    return ", ".join([said, *_options(terms, step)])


def _status(step: Step, as_of_ms: Millis) -> str:
    if as_of_ms < step.begin_ms:
        return "Pending"
    if as_of_ms < step.end_ms:
        return "Active"
    return "Expired" if step.is_last else "Superseded"
