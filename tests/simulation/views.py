"""A claim as the checks read it from the wire, without the operator's own models."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from sublet.api.times import parse_instant

Object = dict[str, Any]
CLAIM_LABEL: Final = "claim.sublet.dev/"


class ClaimView:
    """What the hub says of one claim."""

    def __init__(self, body: Object) -> None:
        meta = body["metadata"]
        self.uid: str = meta["uid"]
        self.name: str = meta["name"]
        self.namespace: str = meta["namespace"]
        self.spec: Object = body["spec"]
        self.status: Object = body.get("status") or {}
        self.is_leaving = "deletionTimestamp" in meta
        self.conditions = {c["type"]: c for c in self.status.get("conditions", ())}
        self.allocation: Object = self.status.get("allocation") or {}
        self.sequence: int = self.allocation.get("sequence", 0)
        self.placements: list[Object] = self.allocation.get("placements") or []

    def is_true(self, type_: str) -> bool:
        """Say whether a condition is True."""
        return self.conditions.get(type_, {}).get("status") == "True"

    @property
    def is_bound(self) -> bool:
        """Say whether it is handed over and not being taken back."""
        return self.is_true("Bound") and not self.is_true("Releasing")

    @property
    def is_releasing(self) -> bool:
        """Say whether it is being taken back."""
        return self.is_true("Releasing")

    @property
    def holds(self) -> bool:
        """Say whether the hub counts GPUs as its own."""
        return bool(self.allocation) and (self.is_true("Reserved") or self.is_releasing)

    @property
    def nodes(self) -> dict[str, Object]:
        """Return node UID -> place, of the allocation, a move that isn't given up, and what it leaves."""
        found = {p["nodeUID"]: p for p in self.placements}
        move = self.status.get("move") or {}
        found |= {p["nodeUID"]: p for p in move.get("placements") or ()}
        for left in self.status.get("leaving") or ():
            if not left.get("freedTime"):
                found |= {p["nodeUID"]: p for p in left.get("placements") or ()}
        return found

    def homes_at(self, cluster: str) -> set[str]:
        """Return the namespaces of its allocation in a cluster; one that it left may have had the same name."""
        there = [p for p in self.placements if p["lease"] == cluster]
        return {f"sublet-{self.uid}-{p.get('home') or self.sequence}" for p in there}

    @property
    def all_homes(self) -> set[str]:
        """Return the namespaces of everything that it holds."""
        move = self.status.get("move") or {}
        sequences = {p.get("home") or self.sequence for p in self.nodes.values()}
        sequences |= {left["sequence"] for left in self.status.get("leaving") or ()}
        sequences |= {move["sequence"]} if move else set()
        return {f"sublet-{self.uid}-{s}" for s in sequences}

    def terms(self) -> Iterator["Term"]:
        """Yield what was billed, by reservation: this one, and those that others took the place of."""

        def at(text: str | None) -> int | None:
            return parse_instant(text) if text else None

        release = self.status.get("release") or {}
        mine = release.get("sequence") == self.sequence
        done = self.conditions.get("Releasing", {})
        over = done.get("status") == "False" and done.get("reason") == "Released"
        silent = _by_sequence(self.status.get("outages") or ())
        down = _by_sequence(self.status.get("downtimes") or ())
        decided = at(self.allocation.get("decidedTime"))
        if self.allocation:
            yield Term(
                self.sequence,
                at(self.allocation.get("boundTime")),
                at(release.get("releaseTime")) if mine else None,
                at(done.get("lastTransitionTime")) if mine and over else None,
                silent.get(self.sequence, ()),
                down.get(self.sequence, ()),
                decided,
            )
        for left in self.status.get("leaving") or ():
            yield Term(
                left["sequence"],
                # of a move that was given up nothing was handed over
                at(left["boundTime"]) if left["metered"] else None,
                at(left["releaseTime"]),
                at(left.get("freedTime")),
                silent.get(left["sequence"], ()),
                down.get(left["sequence"], ()),
                decided,
            )


Times = tuple[tuple[str, int, int | None], ...]
"""(lease UID, from, until)"""


def _by_sequence(entries: Sequence[Object]) -> dict[int, Times]:
    """Return what a status lists of each reservation."""
    found: dict[int, Times] = {}
    for each in entries:
        until = parse_instant(each["untilTime"]) if each.get("untilTime") else None
        one = (each["leaseUID"], parse_instant(each["fromTime"]), until)
        found[each["sequence"]] = (*found.get(each["sequence"], ()), one)
    return found


class Term(NamedTuple):
    """The instants of one reservation, in milliseconds."""

    sequence: int
    bound: int | None
    released: int | None
    free: int | None
    outages: Times = ()
    """When a cluster was silent."""
    downtimes: Times = ()
    """When GPUs didn't work; none of these is empty."""
    decided: int | None = None

    def outage(self, lease_uid: str, opens: bool, at_ms: int) -> int | None:
        """Return the recorded instant that a disputed line carries: this one, if there is one such, else the last."""
        return self._edge(self.outages, lease_uid, opens, at_ms, least=0)

    def downtime(self, lease_uid: str, opens: bool, at_ms: int) -> int | None:
        """Return the recorded instant that a line of downtime carries, as for an outage."""
        return self._edge(self.downtimes, lease_uid, opens, at_ms, least=1)

    def _edge(
        self, times: Times, lease_uid: str, opens: bool, at_ms: int, *, least: int
    ) -> int | None:
        found: list[int | None] = []
        for uid, begin, end in times:
            if uid == lease_uid:
                until = end if end is not None else self.released
                found.append(begin if opens or until is None else max(until, begin + least))
        return at_ms if at_ms in found else (found[-1] if found else None)


def book_of(node: Object) -> dict[str, int]:
    """Return claim UID -> GPUs, as a node's own book has it; ValueError if labels and book differ."""
    text = (node["metadata"].get("annotations") or {}).get("sublet.dev/allocation", "")
    book = {e.split("=")[0]: int(e.split("=")[1]) for e in text.split(",") if e}
    labels = node["metadata"].get("labels") or {}
    claims = {k.removeprefix(CLAIM_LABEL) for k in labels if k.startswith(CLAIM_LABEL)}
    if claims != set(book) or len(book) != len([e for e in text.split(",") if e]):
        raise ValueError(f"book {text!r} and labels {sorted(claims)} differ")
    return book


def claim_in(namespace: str) -> str:
    """Return the claim UID that a claim namespace is named by."""
    return namespace.removeprefix("sublet-").rsplit("-", 1)[0]
