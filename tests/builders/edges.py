"""Lines that a claim calls for, as most tests ask for them: what begins and ends, without the terms in front."""

from sublet.api.gpuclaim import GpuClaim
from sublet.hub.meter import facts_of
from sublet.ledger.entry import MARKS, Fact


def edges_of(claim: GpuClaim) -> list[Fact]:
    """Return the openings and closings, in ledger order."""
    return [fact for fact in facts_of(claim) if fact.kind not in MARKS]
