"""Until when a claim may stay that asks for a later end: as far as its tenant's quota and money go.

What was promised is never asked about. What is granted counts from then on, against whoever asks next.
"""

from collections.abc import Iterable

from sublet.api.gpuclaim import Allocation, GpuClaim
from sublet.api.gputenant import GpuTenant
from sublet.api.ids import ClaimUID, TenantUID
from sublet.api.relocation import ReleaseCause
from sublet.api.times import Millis
from sublet.book.budget import Budgets
from sublet.book.expiry import End, promised_end
from sublet.book.holdings import Holdings


class Means:
    """Quotas and budgets of one pass, as far as they bound later ends."""

    def __init__(
        self,
        tenants: Iterable[GpuTenant],
        holdings: Holdings,
        budgets: Budgets,
        *,
        beside_kept: bool = False,
    ) -> None:
        """`beside_kept`: what claims will need whose starts are kept isn't given to who stays longer."""
        self._tenants = {TenantUID(t.metadata.uid): t for t in tenants}
        self._holdings = holdings
        self._budgets = budgets
        self._beside_kept = beside_kept

    def grants_all(self, claim: GpuClaim, allocation: Allocation, end: End) -> bool:
        """Say whether the tenant has the means for all of an end later than the promised one; else nothing counts."""
        return self.grant(claim, allocation, end, whole=True) == end

    def grant(
        self, claim: GpuClaim, allocation: Allocation, end: End, *, whole: bool = False
    ) -> End:
        """Return an end later than the promised one as far as the tenant has the means, at least the promised one.

        `whole`: only the promised one if it hasn't for all.
        """
        before = promised_end(allocation)
        uid, name = TenantUID(allocation.tenant_uid), claim.spec.class_name
        # past its end it counts until its release should be done
        going_ms = self._holdings.leaving.get(ClaimUID(claim.metadata.uid), before.at_ms)
        counted_ms = max(before.at_ms, going_ms)
        tenant = self._tenants.get(uid)
        limit = tenant.spec.quota_of(name) if tenant is not None else None
        if limit is not None:
            others, by_tenant = limit - allocation.gpus, self._holdings.by_tenant
            above = (
                by_tenant.first_above_beside_kept if self._beside_kept else by_tenant.first_above
            )
            at_ms = above(uid, name, others, Millis(counted_ms), end.at_ms)
            if at_ms <= counted_ms or (whole and at_ms < end.at_ms):
                return before
            # it ends as it was told, only later
            end = end if at_ms >= end.at_ms else End(at_ms, before.cause)
        paid_ms = self._budgets.pays_until(
            claim, allocation, end.at_ms, whole=whole, beside_kept=self._beside_kept
        )
        if paid_ms is None:
            return before
        if paid_ms < end.at_ms:
            # what is kept for others may be theirs no more in the next pass: that is no end of the budget
            is_kept = self._beside_kept and self._budgets.keeps_for(uid)
            end = End(paid_ms, before.cause if is_kept else ReleaseCause.BUDGET_EXHAUSTED)
        if limit is not None:
            self._holdings.by_tenant.count(
                uid, name, allocation.gpus, Millis(counted_ms), end.at_ms
            )
        return end
