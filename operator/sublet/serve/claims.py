"""Series of single claims: the only ones whose number grows with use, so they have a limit and an end.

They are written as text here and not through prometheus_client, which takes seconds for what 10,000 claims say; what an object
says is kept as text until the object changes. A claim's series vanish one retention after its end. Of more claims than the limit
the oldest are shown, so that a series that is there stays, and the others are counted.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final, NamedTuple

from sublet.api.common import Status, find_condition
from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import ClaimUID
from sublet.api.times import MS_PER_SECOND, Millis
from sublet.serve.claim_texts import OBJECT, Family, Texts, texts_of, who_is
from sublet.serve.look import Look
from sublet.serve.ports import Observed
from sublet.settings import Settings

LIMIT: Final = 10_000
"""Claims that have series of their own, unless the settings say otherwise."""


_BILLED: Final = Family(
    "sublet_claim_billable_gpu_seconds",
    "counter",
    "Billable GPU-seconds of a claim, from the ledger.",
)
_DOWN: Final = Family(
    "sublet_claim_downtime_seconds",
    "counter",
    "Seconds in which GPUs of a claim were known not to work, by what was seen, from the ledger.",
)
_SUPPRESSED: Final = Family(
    "sublet_series_suppressed",
    "gauge",
    "Claims that have no series of their own: they are more than the limit.",
)
_MOST: Final = Family(
    "sublet_claim_series_limit", "gauge", "Claims that may have series of their own."
)


class _Lines(NamedTuple):
    """What an object says, as of one version of it."""

    version: str
    who: str
    texts: Texts


@dataclass(frozen=True, slots=True)
class _Shown:
    objects: list[GpuClaim]
    gone: list[ClaimUID]
    suppressed: int


class ClaimSeries:
    """Writes the series of single claims."""

    def __init__(self, *, limit: int = LIMIT, retention_seconds: int) -> None:
        """Show at most so many claims; 0: none, and nothing of them is said."""
        self._limit = limit
        self._retention_ms = retention_seconds * MS_PER_SECOND
        self._known: dict[str, _Lines] = {}  # claim UID -> what its object says
        self._leases: dict[str, str] = {}  # UID -> name, as they stand in what is known

    def write(
        self, observed: Observed, look: Look | None, now_ms: Millis, *, openmetrics: bool
    ) -> bytes:
        """Return the text; `look` None: the ledger can't be read, and its series are absent."""
        if not self._limit:
            return b""
        leases = {x.metadata.uid: x.metadata.name for x in observed.leases()}
        if leases != self._leases:  # of a lease that couldn't be read, its UID was written
            self._known, self._leases = {}, leases
        shown = self._choose(observed.claims(), look, now_ms)
        blocks = [self._block(claim, leases) for claim in shown.objects]
        self._known = {c.metadata.uid: b for c, b in zip(shown.objects, blocks, strict=True)}
        parts: list[str] = []
        for index, family in enumerate(OBJECT):
            parts += _head(family, openmetrics=openmetrics)
            parts += [text for block in blocks if (text := block.texts[index])]
        for family, rows in (
            (_SUPPRESSED, [f"{_SUPPRESSED.name} {shown.suppressed}\n"]),
            (_MOST, [f"{_MOST.name} {self._limit}\n"]),
        ):
            parts += [*_head(family, openmetrics=openmetrics), *rows]
        if look is not None:
            whose = [(uid, block.who) for uid, block in self._known.items()]
            parts += _counters(whose, shown.gone, look, openmetrics=openmetrics)
        return "".join(parts).encode()

    def _choose(self, claims: Iterable[GpuClaim], look: Look | None, now_ms: Millis) -> _Shown:
        """Return who is shown: objects by age, then those that the ledger has of claims that are gone."""
        there = [c for c in claims if not self._is_long_over(c, now_ms)]
        there.sort(key=lambda c: (c.metadata.creation_timestamp or 0, c.metadata.uid))
        known = {c.metadata.uid for c in there}
        gone = [u for u, c in look.claims.items() if u not in known and c.name] if look else []
        gone.sort(key=lambda uid: (look.claims[uid].since_ms if look else 0, uid))
        room = max(0, self._limit - len(there))
        suppressed = max(0, len(there) + len(gone) - self._limit)
        return _Shown(there[: self._limit], list(islice(gone, room)), suppressed)

    def _is_long_over(self, claim: GpuClaim, now_ms: Millis) -> bool:
        ended = find_condition(claim.status.conditions, "Ended")
        if ended is None or ended.status is not Status.TRUE:
            return False
        return ended.last_transition_time < now_ms - self._retention_ms

    def _block(self, claim: GpuClaim, leases: Mapping[str, str]) -> _Lines:
        known = self._known.get(claim.metadata.uid)
        if known is not None and known.version == claim.metadata.resource_version:
            return known
        meta = claim.metadata
        who = who_is(meta.namespace, meta.name, meta.uid)
        return _Lines(meta.resource_version, who, texts_of(claim, who, leases))


def claims_of(settings: Settings) -> ClaimSeries:
    """Return the series of single claims as the settings want them."""
    limit = settings.metrics_claim_limit if settings.metrics_per_claim else 0
    return ClaimSeries(limit=limit, retention_seconds=settings.metrics_retention_seconds)


def _counters(
    whose: Iterable[tuple[str, str]], gone: Iterable[ClaimUID], look: Look, *, openmetrics: bool
) -> Iterator[str]:
    found = [(who, each) for uid, who in whose if (each := look.claims.get(ClaimUID(uid)))]
    for uid in gone:
        each = look.claims[uid]
        found.append((who_is(each.namespace, each.name, uid), each))
    yield from _head(_BILLED, openmetrics=openmetrics)
    for who, each in found:
        if each.billed is not None:
            yield f"{_BILLED.name}_total{{{who}}} {each.billed / MS_PER_SECOND}\n"
            if openmetrics:
                yield f"{_BILLED.name}_created{{{who}}} {each.since_ms / MS_PER_SECOND}\n"
    yield from _head(_DOWN, openmetrics=openmetrics)
    for who, each in found:
        for cause, milliseconds in each.down.items():
            if milliseconds is None:
                continue
            labels = f'{who},cause="{cause}"'
            yield f"{_DOWN.name}_total{{{labels}}} {milliseconds / MS_PER_SECOND}\n"
            if openmetrics:
                yield f"{_DOWN.name}_created{{{labels}}} {each.since_ms / MS_PER_SECOND}\n"


def _head(family: Family, *, openmetrics: bool) -> tuple[str, str]:
    name = family.name + ("_total" if family.kind == "counter" and not openmetrics else "")
    return f"# HELP {name} {family.text}\n", f"# TYPE {name} {family.kind}\n"
