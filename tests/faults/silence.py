"""Clusters that fell silent during a plan, by what the operator said of them: what that leaves is told apart from the fault's own traces.

A partition is meant to silence one. On a busy machine any may be slow to answer, whatever the fault is: an operator under
faults asks each half second and waits no longer.
"""

from collections.abc import Iterable

from tests.faults.journal import Entry
from tests.faults.outcome import Outcome


def silences(writes: Iterable[Entry]) -> int:
    """Return how often leases came to say that their cluster isn't reached."""
    return len(
        {
            (entry.object, c["lastTransitionTime"])
            for entry in writes
            if entry.is_done
            and entry.target.resource == "gpuleases"
            and isinstance(entry.answer, dict)
            for c in entry.answer.get("status", {}).get("conditions", [])
            if c["type"] == "Reachable" and c["status"] != "True"
        }
    )


def without_silence(outcome: Outcome) -> Outcome:
    """Return an outcome without what a silence leaves that is over.

    A cluster that is cut off for seconds counts as silent where the operator was slow to ask it again: then its claims
    have said so, and the time is disputed.
    """
    claims = {
        name: {**claim, "conditions": {t: said for t, said in claim["conditions"].items() if (t, said) != ("Reachable", "True Answers")}}
        for name, claim in outcome["claims"].items()
    }  # fmt: skip
    ledger = {
        name: [line for line in lines if not line.startswith("disputed ")]
        for name, lines in outcome["ledger"].items()
    }
    return {**outcome, "claims": claims, "ledger": ledger}
