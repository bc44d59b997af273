"""A person's word where nothing can be seen: a cluster is lost, a release that hangs is done. And what is left to clean.

Spec carries the word, which admission lets only the platform's people write (`sublet.manifests`, hub/word.yaml). Status
carries what the operator made of it, written before anything follows from it, so that a word can't be taken back halfway.
"""

import json
from collections.abc import Iterable
from typing import Annotated, Final

from pydantic import Field

from sublet.api.common import Instant
from sublet.api.names import UID_PATTERN
from sublet.api.relocation import Sequence
from sublet.api.schema import ApiModel, StatusModel, atomic_list

MOST_LEFTOVERS: Final = 4_096
"""Claims that a lease's status can list."""
MOST_LEFTOVER_BYTES: Final = 768 * 1024
"""Of the list as the hub stores it: etcd takes 1.5 MiB for the whole lease, or no status of it could be written any more."""
_FRAME_BYTES: Final = 220
_HOME_BYTES: Final = 12
_ESCAPED: Final = "<>&"
"""What the API server writes as six characters, and Python as one."""

ObjectUID = Annotated[str, Field(pattern=UID_PATTERN, max_length=36)]
Person = Annotated[str, Field(min_length=1, max_length=1024)]


class Lost(ApiModel):
    """A person's word that a lease's cluster will not come back."""

    lease_uid: Annotated[ObjectUID, Field(alias="leaseUID")]
    """UID of this very lease, so that a copied manifest loses no other."""
    time: Instant
    """Since when it is lost, as 2026-10-01T00:00:00Z: no claim is billed there for later, whatever was seen."""
    by: Person
    """Who says so: the user name of the request that writes it, which the hub fills in from Kubernetes 1.36 on."""


class ForceRelease(ApiModel):
    """A person's word that a claim's release needn't wait for a cluster any longer."""

    claim_uid: Annotated[ObjectUID, Field(alias="claimUID")]
    """UID of this very claim, so that a copied manifest releases no other."""
    by: Person | None = None
    """Who says so: the user name of the request that writes it, which the hub fills in from Kubernetes 1.36 on."""


class LostStatus(StatusModel):
    """A lease's cluster counts as lost, for good."""

    by: Person
    """Who said so."""
    time: Instant
    """Since when it is lost, as was said."""
    meter_time: Instant
    """When the meters of claims there stop: the earlier of `time` and when the cluster was last seen to work."""


class Leftover(StatusModel):
    """What a claim left in the cluster that nobody has seen gone; its GPUs are not sold until it is."""

    claim_uid: Annotated[str, Field(alias="claimUID", max_length=36)]
    """UID of the claim, which may be gone."""
    homes: Annotated[
        tuple[Sequence, ...],
        Field(min_length=1, max_length=32, json_schema_extra=atomic_list()),
    ]
    """Reservations that made the claim's namespaces there, `sublet-<claim UID>-<reservation>`."""
    gpus: Annotated[int, Field(ge=0, le=1_000_000, json_schema_extra={"format": "int32"})] = 0
    """GPUs that it held there."""
    since_time: Instant
    """Since when no claim is billed for them and nobody has seen them free."""
    by: Annotated[str, Field(max_length=1024)] = ""
    """Who gave the word."""
    vacated_time: Instant | None = None
    """When the last pod was seen gone; the quarantine counts from then."""


def room_of(left: Leftover) -> int:
    """Return the bytes that an entry takes at most, also with what is added to it later."""
    by = len(json.dumps(left.by)) + 5 * sum(left.by.count(c) for c in _ESCAPED)
    return _FRAME_BYTES + _HOME_BYTES * len(left.homes) + by


def count_fitting(known: Iterable[Leftover], new: Iterable[Leftover]) -> int:
    """Return how many of the new entries, from the first on, there is room for beside the known ones."""
    listed = list(known)
    count, room, fitting = len(listed), MOST_LEFTOVER_BYTES - sum(map(room_of, listed)), 0
    for left in new:
        room -= room_of(left)
        if room < 0 or count + fitting >= MOST_LEFTOVERS:
            break
        fitting += 1
    return fitting
