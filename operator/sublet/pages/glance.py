"""What a platform team must see in five seconds: who waits, what is idle, what earns and what loses. Pure."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from markupsafe import Markup

from sublet.api.ids import LeaseUID
from sublet.api.times import format_instant
from sublet.book.coverage import LeaseCoverage
from sublet.html.markup import Content, join
from sublet.html.page import Fact, date, facts, link_to
from sublet.pages.money import margin_text, section_of
from sublet.pages.supply import Book

_NAMED: Final = 4
"""Leases that are named in one fact; the table of money has all."""
Said = tuple[str, str]
"""A lease's name, and what is said of it."""


def glance(book: Book, lines: Sequence[LeaseCoverage], names: Mapping[LeaseUID, str]) -> Markup:
    """Return the facts; what is said of leases leads to their sections."""
    margins = [(x.trade.margin, names.get(x.lease_uid, x.lease_uid), margin_text(x)) for x in lines]
    known = sorted((m, name, text) for m, name, text in margins if m is not None)
    losses = [(name, f"{text}/h") for m, name, text in known if m < Decimal(0)]
    gains = [(name, f"{text}/h") for m, name, text in reversed(known) if m > Decimal(0)]
    unknown = [(name, "") for m, name, _ in margins if m is None]
    return facts(
        _waiting(book),
        _idle(lines, names),
        Fact("Earning", _leases(gains), _named(gains)),
        Fact("Losing", _leases(losses), _named(losses), is_bad=bool(losses)),
        *([Fact("Margin not known", _leases(unknown), _named(unknown))] if unknown else []),
    )


def _waiting(book: Book) -> Fact:
    if not book.waiting:
        return Fact("Waiting", "no claim")
    starts = [p.estimated_start_time for c in book.waiting if (p := c.status.pending) is not None]
    expected = [at for at in starts if at is not None]
    said: list[Content] = [f"for {_count(sum(c.spec.gpus for c in book.waiting), 'GPU')}"]
    if expected:
        said += ["; the first is expected ", date(format_instant(min(expected)))]
    if unknown := len(starts) - len(expected):
        said.append(f"; of {unknown} nobody knows when")
    return Fact("Waiting", _count(len(book.waiting), "claim"), join(*said))


def _idle(lines: Sequence[LeaseCoverage], names: Mapping[LeaseUID, str]) -> Fact:
    """Count what is committed and held by nobody."""
    unsold = sum(x.unsold for x in lines)
    committed = sum(x.committed for x in lines)
    most = sorted(lines, key=lambda x: (-x.unsold, names.get(x.lease_uid, "")))
    named = [(names.get(x.lease_uid, x.lease_uid), str(x.unsold)) for x in most if x.unsold]
    return Fact("Idle", f"{unsold} of {_count(committed, 'GPU')}", _named(named))


def _named(leases: Sequence[Said]) -> Content:
    """Name the first leases with what is said of each."""
    said: list[Content] = []
    for name, text in leases[:_NAMED]:
        said += [", " if said else None, link_to(section_of(name), name), f" {text}" if text else None]  # fmt: skip
    if (more := len(leases) - _NAMED) > 0:
        said.append(f" and {more} more")
    return join(*said) if said else None


def _leases(found: Sequence[Said]) -> str:
    return _count(len(found), "lease") if found else "none"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
