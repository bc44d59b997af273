"""Who holds a lease's GPUs from when to when: a bar for each claim. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from markupsafe import Markup

from sublet.api.ids import ClaimUID
from sublet.api.times import Millis, format_instant
from sublet.book.spans import Span
from sublet.book.steps import FOREVER
from sublet.html.gantt import Stretch, gantt
from sublet.html.markup import Content, join
from sublet.html.page import figure, folded, paragraph
from sublet.html.style import LOOKS
from sublet.html.table import Column, table

UNPAID: Final = 2
"""The look of a claim that holds GPUs which nobody pays for yet, by its place among all."""
MOST: Final = 60
"""Bars of one lease: those that end first; the table has all."""
_OPEN: Final = 8
"""So many claims are shown without being asked for: a lease of very many would push all others away."""
_COLUMNS: Final = (
    Column("Claim"),
    Column("GPUs", is_number=True),
    Column("From"),
    Column("Until"),
)


def holders(
    name: str, spans: Iterable[Span], keys: Mapping[ClaimUID, str], time: tuple[Millis, Millis]
) -> Markup:
    """Return the claims that hold GPUs of a lease within a time."""
    begin, end = time
    held = _joined(s for s in spans if s.from_ms < end and s.until_ms > begin and s.from_ms < s.until_ms)  # fmt: skip
    if not held:
        return paragraph("No claim holds any of its GPUs.")
    shown = [_stretch(span, keys, time) for span in held[:MOST]]
    many = f"{len(held)} claims hold GPUs in this time, those first that end first."
    words = many if len(held) > 1 else "1 claim holds GPUs in this time."
    rows = [(keys.get(s.claim_uid, s.claim_uid), str(s.gpus), *_times(s)) for s in held]
    ends = (format_instant(begin)[:10], format_instant(end)[:10])
    parts: list[Content] = [figure(words, gantt(f"Claims on {name}", words, shown, ends))]
    if len(held) > MOST:
        parts.append(paragraph(f"{len(held) - MOST} more stand in the table alone."))
    drawn = join(*parts) if len(held) <= _OPEN else folded(f"{len(held)} claims", *parts)
    return join(drawn, folded("Each claim as a line", table(f"Claims on {name}", _COLUMNS, rows)))


def _joined(spans: Iterable[Span]) -> Sequence[Span]:
    """Return one span for each claim, instant and number of GPUs, those first that end first."""
    found: dict[tuple[ClaimUID, Millis, Millis], list[Span]] = defaultdict(list)
    for span in spans:
        found[span.claim_uid, span.from_ms, span.until_ms].append(span)
    longest = [max(each, key=lambda s: s.gpus) for each in found.values()]
    return sorted(longest, key=lambda s: (s.until_ms, s.claim_uid))


def _stretch(span: Span, keys: Mapping[ClaimUID, str], time: tuple[Millis, Millis]) -> Stretch:
    begin, end = time
    length = end - begin
    is_paid = span.paid_until_ms > span.paid_from_ms
    return Stretch(
        keys.get(span.claim_uid, span.claim_uid),
        f"{span.gpus} GPUs",
        LOOKS[0] if is_paid else LOOKS[UNPAID],
        (span.from_ms - begin) / length,
        (span.until_ms - begin) / length,
    )


def _times(span: Span) -> tuple[str, str]:
    until = "open" if span.until_ms >= FOREVER else format_instant(span.until_ms)
    return format_instant(span.from_ms), until
