"""The node's own book: which claims hold how many of its GPUs, in one annotation and one label per claim.

The book in the leased cluster is the truth about possession. Written by the binder with compare-and-set, read by
the inventory; the admission policy `sublet-node-invariants` holds the same format.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from sublet.api.ids import ClaimUID
from sublet.book.inventory import Holding

LEASE_LABEL: Final = "sublet.dev/lease"
POOL_TAINT: Final = "sublet.dev/pool"
LEAVING_TAINT: Final = "sublet.dev/leaving"
"""On a node that a claim leaves, by an older version: it kept everybody's pods off."""
LEAVING: Final = "sublet.dev/leaving"
"""Likewise the claims by UID; the taint goes with the last."""
BOOK: Final = "sublet.dev/allocation"
NODE: Final = "sublet.dev/node"
"""The UID of the node that was adopted: on one that was made anew with the old one's labels it is another's."""
SHARING: Final = "sublet.dev/sharing"
TENANT: Final = "sublet.dev/tenant"
UNWIPED: Final = "sublet.dev/unwiped"
"""Claims whose pods are gone and that go once the landlord has wiped the node: `<claim UID>=<clean label>=<what it said>`."""
CLAIM_LABEL: Final = "claim.sublet.dev/"
"""Followed by the claim's UID; the value is HELD on every node, so that one selector fits all of them.

Any other value is on a node that the claim leaves while it keeps its namespace: no pod of it may come back.
"""
HELD: Final = "true"

GPU: Final = "nvidia.com/gpu"

_ENTRY: Final = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})=([1-9][0-9]{0,3})")
_SHOWN: Final = 64
_NOTE: Final = re.compile(r"([^=,]+)=([^=,]+)=([^=,]*)")


@dataclass(frozen=True, slots=True)
class Unwiped:
    """What is noted of a node that a claim's pods have left."""

    label: str
    """The lease's clean label."""
    value: str
    """What it said then; "" once it was seen not to say that the node is clean."""


class BookError(ValueError):
    """The annotation isn't a book."""


def parse_book(text: str) -> tuple[Holding, ...]:
    """Return the entries in order; BookError if the text is malformed or names a claim twice."""
    if text == "":
        return ()
    holdings = []
    for part in text.split(","):
        match = _ENTRY.fullmatch(part)
        if match is None:
            shown = part[:_SHOWN]  # a landlord's text, of any length
            raise BookError(f"{BOOK} is malformed: {shown!r} is not <claim UID>=<gpus>")
        holdings.append(Holding(ClaimUID(match[1]), int(match[2])))
    if len({h.claim_uid for h in holdings}) != len(holdings):
        raise BookError(f"{BOOK} names a claim twice")
    return tuple(holdings)


def format_book(holdings: Iterable[Holding]) -> str:
    """Write entries as the annotation's text."""
    return ",".join(f"{h.claim_uid}={h.gpus}" for h in holdings)


def read_book(labels: Mapping[str, str], annotations: Mapping[str, str]) -> tuple[Holding, ...]:
    """Return a node's book; BookError if the annotation and the claim labels disagree."""
    holdings = parse_book(annotations.get(BOOK, ""))
    labelled = {key.removeprefix(CLAIM_LABEL) for key in labels if key.startswith(CLAIM_LABEL)}
    if labelled != {h.claim_uid for h in holdings}:
        raise BookError(f"{BOOK} and the claim labels disagree")
    return holdings


def claims_leaving(labels: Mapping[str, str]) -> frozenset[ClaimUID]:
    """Return the claims that leave a node while they keep their namespaces there."""
    return frozenset(
        ClaimUID(key.removeprefix(CLAIM_LABEL))
        for key, value in labels.items()
        if key.startswith(CLAIM_LABEL) and value != HELD
    )


def parse_unwiped(annotations: Mapping[str, str]) -> dict[ClaimUID, Unwiped]:
    """Return what is noted of the claims that wait for a node to be wiped; what can't be read is no note."""
    # part by part: to look for a note at each character of a long text without any takes minutes
    found = (_NOTE.fullmatch(part) for part in annotations.get(UNWIPED, "").split(","))
    return {ClaimUID(note[1]): Unwiped(note[2], note[3]) for note in found if note is not None}


def format_unwiped(notes: Mapping[ClaimUID, Unwiped]) -> str:
    """Write notes as the annotation's text."""
    return ",".join(f"{uid}={note.label}={note.value}" for uid, note in sorted(notes.items()))
