"""Wholesale rows: what landlords are owed, as FOCUS has it.

Under TakeOrPay the commitment is a purchase, and what was used, unused and unavailable of it are usage that is billed 0 and
costs, together, exactly what the purchase was billed. Under PayAsYouGo nothing is bought ahead: rows are billed as they are.
What is used beyond the commitment is billed in either mode; so is the time that a landlord adds to a use that is over.
A correction of a closed month has the same rows, of what is more or, below 0, less.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import groupby
from operator import attrgetter
from typing import Any, Final

import pyarrow as pa

from sublet.api.lease_terms import CommitmentMode
from sublet.api.times import MS_PER_HOUR
from sublet.export.focus.account import Period
from sublet.export.focus.amounts import plain, unscaled
from sublet.export.focus.columns import COST_SCALE, QUANTITY_SCALE, WHOLESALE
from sublet.export.focus.contracts import Profile, by_discount, commitment_id
from sublet.export.focus.corrected import Corrected
from sublet.export.focus.records import Record, table
from sublet.export.focus.said import UNIT
from sublet.ledger.texts.lease import LeaseTerms
from sublet.rating.model import Cell, LeaseState
from sublet.rating.uses import Extra

_ORDER: Final = attrgetter("from_ms", "to_ms", "commitment_id", "price", "state")
_PIECE: Final = attrgetter("from_ms", "to_ms", "commitment_id", "price")
_TEXTS: Final = {
    LeaseState.USED: "Committed GPUs in use",
    LeaseState.UNUSED: "Committed GPUs not in use",
    LeaseState.UNAVAILABLE: "Committed GPUs that could not be used",
    LeaseState.BEYOND: "GPUs in use beyond the commitment",
}
_PURCHASE: Final = "purchase"
_ROUNDING: Final = "rounding"


@dataclass(frozen=True, slots=True)
class Amounts:
    """A row's quantity and cost as the file has them: whole numbers of the smallest unit of their scale."""

    gpu_milliseconds: int
    quantity: int
    cost: int

    @classmethod
    def of(cls, cell: Cell | Extra) -> "Amounts":
        """Return those of a cell or of what is added to a use, each rounded once."""
        quantity = unscaled(cell.gpu_milliseconds, MS_PER_HOUR, QUANTITY_SCALE)
        cost = unscaled(*cell.amount.as_integer_ratio(), COST_SCALE)
        return cls(cell.gpu_milliseconds, quantity, cost)

    @classmethod
    def total(cls, parts: Iterable["Amounts"]) -> "Amounts":
        """Return the sum, which is exact: it is added up after rounding."""
        each = list(parts)
        return cls(
            sum(p.gpu_milliseconds for p in each),
            sum(p.quantity for p in each),
            sum(p.cost for p in each),
        )


class WholesaleRows:
    """Makes the rows of one lease in one period."""

    def __init__(self, terms: LeaseTerms, period: Period, profile: Profile) -> None:
        self._terms, self._period, self._profile = terms, period, profile

    def table(
        self,
        cells: Iterable[Cell],
        extras: Iterable[Extra] = (),
        corrections: Iterable[Corrected] = (),
    ) -> pa.Table:
        """Return cells as rows of FOCUS 1.4, in the order of time, then extras, then corrections; TooLarge if an amount has no room."""
        records = [*self._records(cells, extras)]
        for each in corrections:
            said = {"ChargeClass": "Correction", "x_CorrectedPeriod": each.month}
            records += [{**record, **said} for record in self._records(each.cells, each.extras)]
        return table(WHOLESALE, records)

    def _records(self, cells: Iterable[Cell], extras: Iterable[Extra]) -> Iterator[Record]:
        for _, piece in groupby(sorted(cells, key=_ORDER), key=_PIECE):
            yield from self._piece(list(piece))
        yield from map(self._rounding, extras)

    def _piece(self, cells: Sequence[Cell]) -> Iterator[Record]:
        """Yield the rows of cells of one time, phase and price."""
        committed = [c for c in cells if c.state is not LeaseState.BEYOND]
        is_bought = self._terms.commitment.mode is CommitmentMode.TAKE_OR_PAY
        if committed and is_bought:
            yield self._purchase(committed[0], Amounts.total(map(Amounts.of, committed)))
        for cell in cells:
            covered = is_bought and cell.state is not LeaseState.BEYOND
            yield self._usage(cell, Amounts.of(cell), is_covered=covered)

    def _purchase(self, cell: Cell, sums: Amounts) -> Record:
        return {
            **self._row(cell, sums),
            **self._commitment(cell, sums, status=None),
            "BilledCost": Fraction(sums.cost, 10**COST_SCALE),
            "EffectiveCost": 0,
            "PricingCurrencyEffectiveCost": 0,
            "ChargeCategory": "Purchase",
            "ChargeFrequency": "Recurring",
            "ChargeDescription": f"Committed GPUs: {self._terms.product}",
            "PricingCategory": "Standard",
            "x_LeaseState": _PURCHASE,
        }

    def _usage(self, cell: Cell, amounts: Amounts, *, is_covered: bool) -> Record:
        cost = Fraction(amounts.cost, 10**COST_SCALE)
        is_used = cell.state in (LeaseState.USED, LeaseState.BEYOND)
        is_discount = is_covered and by_discount(self._terms, self._profile)
        status = "Used" if is_used else "Unused"
        consumed = Fraction(amounts.quantity, 10**QUANTITY_SCALE) if is_used else Fraction(0)
        has_consumed = is_used or not is_discount
        is_committed = cell.state is not LeaseState.BEYOND
        return {
            **self._row(cell, amounts),
            **(self._commitment(cell, amounts, status) if is_committed else {}),
            "BilledCost": 0 if is_covered else cost,
            "EffectiveCost": cost,
            "PricingCurrencyEffectiveCost": cost,
            "ChargeCategory": "Usage",
            "ChargeFrequency": "Usage-Based",
            "ChargeDescription": f"{_TEXTS[cell.state]}: {self._terms.product}",
            "ConsumedQuantity": consumed if has_consumed else None,
            "ConsumedUnit": UNIT if has_consumed else None,
            "PricingCategory": "Committed" if is_discount else "Standard",
            "x_LeaseState": cell.state.value,
        }

    def _rounding(self, extra: Extra) -> Record:
        """Return what is added to a use: owed as it is, of no GPU that anybody had, and so of no commitment."""
        amounts = Amounts.of(extra)
        cost = Fraction(amounts.cost, 10**COST_SCALE)
        return {
            **self._row(extra, amounts),
            "BilledCost": cost,
            "EffectiveCost": cost,
            "PricingCurrencyEffectiveCost": cost,
            "ChargeCategory": "Usage",
            "ChargeFrequency": "Usage-Based",
            "ChargeDescription": f"Rounding up of a use: {self._terms.product}",
            "ConsumedQuantity": 0,
            "ConsumedUnit": UNIT,
            "PricingCategory": "Standard",
            "x_LeaseState": _ROUNDING,
        }

    def _commitment(self, cell: Cell, amounts: Amounts, status: str | None) -> Record:
        terms, quantity = self._terms, Fraction(amounts.quantity, 10**QUANTITY_SCALE)
        identity = commitment_id(terms, cell.commitment_id)
        applied = {"ContractApplied": _applied(terms.contract.id, identity, amounts.quantity)}
        if not by_discount(terms, self._profile):
            return applied | {
                "CapacityReservationId": str(cell.lease_uid),
                "CapacityReservationStatus": status,
            }
        return applied | {
            "CommitmentDiscountCategory": "Usage",
            "CommitmentDiscountId": identity,
            "CommitmentDiscountName": terms.contract.name or terms.contract.id,
            "CommitmentDiscountQuantity": quantity,
            "CommitmentDiscountStatus": status,
            "CommitmentDiscountType": "GPU capacity",
            "CommitmentDiscountUnit": UNIT,
        }

    def _row(self, cell: Cell | Extra, amounts: Amounts) -> dict[str, Any]:
        """Return what purchases and usage have in common."""
        terms, cost = self._terms, Fraction(amounts.cost, 10**COST_SCALE)
        phase = f"{terms.name}/{cell.commitment_id}"
        return {
            "AvailabilityZone": terms.location.zone,
            "BillingAccountId": f"wholesale/{terms.provider}",
            "BillingAccountName": terms.provider,
            "BillingAccountType": "Landlord",
            "BillingCurrency": cell.currency,
            "BillingPeriodEnd": self._period.span.to_ms,
            "BillingPeriodStart": self._period.span.from_ms,
            "ChargePeriodEnd": cell.to_ms,
            "ChargePeriodStart": cell.from_ms,
            "ContractedCost": cost,
            "ContractedUnitPrice": cell.price,
            "HostProviderName": terms.host_provider or terms.provider,
            "InvoiceIssuerName": terms.provider,
            "ListCost": cost,
            "ListUnitPrice": cell.price,
            "PricingCurrency": cell.currency,
            "PricingCurrencyContractedUnitPrice": cell.price,
            "PricingCurrencyListUnitPrice": cell.price,
            "PricingQuantity": Fraction(amounts.quantity, 10**QUANTITY_SCALE),
            "PricingUnit": UNIT,
            "RegionId": terms.location.region,
            "RegionName": terms.location.region,
            "ResourceId": str(cell.lease_uid),
            "ResourceName": terms.name,
            "ResourceType": "GpuLease",
            "ServiceCategory": "Compute",
            "ServiceName": "GPU lease",
            "ServiceProviderName": terms.provider,
            "ServiceSubcategory": "Other (Compute)",
            "SkuId": terms.name,
            "SkuMeter": "GPU time",
            "SkuPriceDetails": json.dumps({"x_GpuProduct": terms.product}),
            "SkuPriceId": f"{phase}/{plain(cell.price)}-{cell.currency}",
            "x_GpuMilliseconds": amounts.gpu_milliseconds,
            "x_LeaseId": str(cell.lease_uid),
            "x_LeasePhase": cell.commitment_id,
        }


def _applied(contract: str, identity: str, quantity: int) -> str:
    """Return which commitment a row counts against; the quantity is written as a decimal number, digit by digit."""
    number = plain(Decimal(quantity).scaleb(-QUANTITY_SCALE))
    return (
        f'{{"Elements": [{{"ContractId": {json.dumps(contract)}, "ContractCommitmentId": {json.dumps(identity)},'
        f' "ContractCommitmentAppliedQuantity": {number}, "ContractCommitmentAppliedUnit": "{UNIT}"}}]}}'
    )
