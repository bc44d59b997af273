"""Rules about what is taken from claims: only what they don't keep (S7), after they were told of an end they didn't choose (S10).

What a claim keeps is judged by what that very operator read or wrote of it last, since a paused one knows nothing else: an
older word counts for nothing, nor what another one read.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from tests.faults.bodies import HOME, conditions, freed, is_live_list, is_true, meta, status_of
from tests.faults.journal import Entry

_TOLD_OF: Final = ("LeaseEnded", "Maintenance", "Preempted")
"""Causes of an end that nobody chose and that is never without a notice; of money a class may sell without."""
_NAMED: Final = re.compile(r"taken back at ([0-9T:.Z-]+)")
_GONE: Final[dict[str, Any]] = {}
"""The status of a claim that isn't on the hub: it keeps nothing."""


def nothing_kept_is_taken(journal: Sequence[Entry]) -> Iterator[str]:
    """S7: what goes belongs to no claim that keeps it by the last word that the operator has of it.

    A claim keeps its nodes and their namespaces while it is reserved, those of a move that isn't given up too. It keeps
    nothing from `Releasing` on, while it gives back what it took under a reservation that can't be bound, or when it is
    gone. Two things of a claim that stays are made anew: an account whose tokens are revoked, and a binding whose role
    can't be changed.
    """
    for at, entry in enumerate(journal):
        for uid, sequence in _taken(entry):
            last = _last_word(journal, at, uid)
            if last is None:
                yield f"S7 without having read the claim: {entry}"
            elif _keeps(last, entry, sequence) and not _is_made_anew(journal[:at], entry, last):
                yield f"S7 the claim keeps what is taken: {entry}"


def ends_are_told_before(journal: Sequence[Entry]) -> Iterator[str]:
    """S10: a bound claim is released at an end that it didn't choose only after the hub said which end that is.

    On a lease that a person has declared lost nobody is told: nothing runs there any more, by that word.
    """
    for at, entry in enumerate(journal):
        if not _is_claim(entry) or entry.target.subresource != "status" or not entry.is_done:
            continue
        release = status_of(entry.body).get("release") or {}
        if not is_true(entry.body, "Releasing") or release.get("cause") not in _TOLD_OF:
            continue
        version = meta(entry.body).get("resourceVersion")
        same = [e.answer for e in journal[:at] if _shows(e, meta(entry.body).get("uid", ""))]
        was = [x for x in same if meta(x).get("resourceVersion") == version]
        if any(is_true(x, "Releasing") or not is_true(x, "Bound") for x in was):
            continue  # begun before, or nothing was handed over
        if any(_leases_of(x) & _lost_before(journal, at) for x in was):
            continue
        if not any(_names_end(x, release) for x in was):
            yield f"S10 ended before it was told: {entry}"


def _taken(entry: Entry) -> Iterator[tuple[str, int | None]]:
    """Yield (claim, number of its namespace or None for a node) of what a request takes away."""
    for uid in freed(entry):
        yield uid, None
    home = HOME.fullmatch(entry.target.namespace or entry.target.name)
    if home is not None and entry.is_write and entry.target.verb in ("delete", "deletecollection"):
        yield home[1], int(home[2])


def _last_word(journal: Sequence[Entry], at: int, uid: str) -> dict[str, Any] | None:
    """Return the body of a claim as an operator read or wrote it last before a request of its own, None if it never did."""
    names = {e.target.namespace + "/" + e.target.name for e in journal if _shows(e, uid)}
    for entry in reversed(journal[:at]):
        if entry.pid != journal[at].pid or not _is_claim(entry):
            continue
        if entry.target.verb == "list":
            if _lacks(entry, uid):
                return _GONE
        elif f"{entry.target.namespace}/{entry.target.name}" in names:
            if entry.status == 404:
                return _GONE
            if entry.is_done and entry.answer is not None:
                return entry.answer if _shows(entry, uid) else _GONE
    return None


def _is_claim(entry: Entry) -> bool:
    return entry.cluster == "hub" and entry.target.resource == "gpuclaims"


def _shows(entry: Entry, uid: str) -> bool:
    """Say whether the hub answered with a claim as it is."""
    return _is_claim(entry) and entry.is_done and meta(entry.answer).get("uid") == uid


def _lacks(entry: Entry, uid: str) -> bool:
    """Say whether a live list of all claims is without one. One that has it may be of before; that shows nothing."""
    if not is_live_list(entry) or entry.target.namespace or not isinstance(entry.answer, dict):
        return False
    whole = not meta(entry.answer).get("continue") and "continue" not in entry.query
    return whole and all(meta(x).get("uid") != uid for x in entry.answer.get("items") or ())


def _keeps(claim: dict[str, Any], entry: Entry, sequence: int | None) -> bool:
    """Say whether a claim keeps a node, or a namespace as far as the request is about all of it."""
    if not is_true(claim, "Reserved") or is_true(claim, "Releasing") or _gives_back(claim):
        return False
    status = status_of(claim)
    allocation, move = status.get("allocation") or {}, status.get("move") or {}
    places = [(p, allocation.get("sequence")) for p in allocation.get("placements") or ()]
    if not move.get("abandoned"):
        places += [(p, move.get("sequence")) for p in move.get("placements") or ()]
    node = entry.target.name if sequence is None else _node_asked(entry)
    if node is not None:
        return any(p["node"] == node for p, _ in places)
    return any((p.get("home") or number) == sequence for p, number in places)


def _node_asked(entry: Entry) -> str | None:
    """Return the one node whose pods are deleted, None if a request isn't about one node."""
    asked = entry.query.get("fieldSelector", "")
    node = asked.partition(",")[0]  # of one pod the name is selected, too
    return node.removeprefix("spec.nodeName=") if node.startswith("spec.nodeName=") else None


def _gives_back(claim: dict[str, Any]) -> bool:
    """Say whether a claim gives back what it took, as it can't have all of it."""
    lost = any(
        c["status"] == "False" and c["reason"] == "LostRace" for c in conditions(claim, "Ready")
    )
    return lost and not is_true(claim, "Bound")


def _is_made_anew(before: Sequence[Entry], entry: Entry, claim: dict[str, Any]) -> bool:
    """Say whether an account goes whose tokens are revoked, or a binding that refused to be changed."""
    target = entry.target
    if target.resource == "serviceaccounts":
        return bool((status_of(claim).get("access") or {}).get("lostTime"))
    same = [e for e in before if e.pid == entry.pid and e.object == entry.object and e.is_write]
    refused = bool(same) and same[-1].target.verb == "apply" and same[-1].status == 422
    return target.resource == "rolebindings" and refused


def _leases_of(claim: Any) -> set[str]:
    """Return the UIDs of the leases of which a claim has nodes."""
    allocation = status_of(claim).get("allocation") or {}
    return {p.get("leaseUID", "") for p in allocation.get("placements") or ()}


def _lost_before(journal: Sequence[Entry], at: int) -> set[str]:
    """Return the UIDs of the leases that the hub answered to be lost before a request."""
    answers = [
        e.answer
        for e in journal[:at]
        if e.cluster == "hub" and e.target.resource == "gpuleases" and e.is_done
    ]
    shown = [x for a in answers if isinstance(a, dict) for x in (a, *(a.get("items") or ()))]
    return {meta(x).get("uid", "") for x in shown if status_of(x).get("lost")}


def _names_end(claim: Any, release: dict[str, Any]) -> bool:
    """Say whether a claim's notice names an end that isn't after the one at which it is released."""
    told = (c["message"] for c in conditions(claim, "Expiring") if c["status"] == "True")
    ends = (found[1] for message in told if (found := _NAMED.search(message)))
    # as texts without the Z a whole second comes before its milliseconds
    return any(end.rstrip("Z") <= release["releaseTime"].rstrip("Z") for end in ends)
