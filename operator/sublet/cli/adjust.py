"""`sublet ledger adjust`: an amount that a person charges or credits, as a line of the ledger and of its audit trail."""

import getpass
import re
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from pydantic import ValidationError

from sublet.api.ids import ClaimUID, LeaseUID, TenantUID
from sublet.api.times import Millis
from sublet.cli.choices import Format
from sublet.cli.connect import run
from sublet.cli.ledger import given
from sublet.cli.output import show_data
from sublet.cli.problems import Problem
from sublet.cli.spans import parse_month
from sublet.cli.tenants import tenants_named
from sublet.clock import SystemClock
from sublet.export.focus.months import closed_months
from sublet.ledger.audit import OPERATOR
from sublet.ledger.entry import EntryKind, EntryType, Fact
from sublet.ledger.interval import BrokenLedger
from sublet.ledger.port import LedgerUnavailable
from sublet.ledger.terms import content_hash
from sublet.ledger.texts.adjustment import Adjustment
from sublet.rating.books import Books
from sublet.rating.calendar import month_at
from sublet.rating.periods import first_month
from sublet.rating.tenancy import Tenancy, tenancy_of
from sublet.store.adjusting import Adjusted, write_adjustment
from sublet.store.reading import read_books
from sublet.store.sql import SqlLedger

_AMOUNT: Final = re.compile(r"-?(0|[1-9][0-9]{0,8})(\.[0-9]{1,6})?")


@dataclass(frozen=True, slots=True)
class Word:
    """What a person says."""

    tenant: str
    amount: str
    currency: str
    reason: str
    claim: str | None
    period: str | None
    key: str | None
    by: str | None
    """The person's user name here if it is None."""


def command(word: Word, database: str | None, output: Format) -> None:
    """Write what a person says into the ledger, once, and say where it stands."""

    async def work() -> None:
        url = given(database)
        whole = replace(word, amount=checked_amount(word.amount))
        fact, said, note = await _read(url, whole, SystemClock().now_ms())
        done = await _written(url, fact, said)
        if not show_data(_as_data(done, fact, said), output):
            verb = "credited to" if said.amount.startswith("-") else "charged to"
            told = f"{said.amount.removeprefix('-')} {said.currency} {verb} tenant {word.tenant} for {said.period}"
            print(f"line {done.seq}: {told}{note}" if done.is_new else f"line {done.seq} says so already: {told}; nothing was written")  # fmt: skip

    run(work, what="the adjustment")


def checked_amount(text: str) -> str:
    """Return an amount as the ledger writes it; Problem on what is none, or nothing."""
    if not _AMOUNT.fullmatch(text):
        raise Problem(
            f"{text!r} is no amount; give it as 12.50, with six places at most, or below 0 to credit"
        )
    amount = Decimal(text)
    if not amount:
        raise Problem("an amount of 0 adjusts nothing")
    return format(amount.normalize(), "f")


def worded(
    books: Books, uid: TenantUID, word: Word, now_ms: Millis, *, since_ms: Millis | None
) -> tuple[Fact, Adjustment, str]:
    """Return the line and its text, and what to add to the answer; Problem if it can't be about what it says."""
    tenancy, closed = tenancy_of(books, uid), closed_months(books, uid)
    month = checked_period(tenancy, closed, word.period, now_ms, since_ms=since_ms)
    namespace = checked_claim(tenancy, word.claim) if word.claim else ""
    words = (uid, month, word.amount, word.currency, word.reason, word.claim or "")
    try:
        said = Adjustment(
            period=month,
            amount=word.amount,
            currency=word.currency,
            reason=word.reason,
            by=_person(word.by),
            namespace=namespace,
            claim=word.claim,
            key=word.key or content_hash("\n".join(words))[:16],
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise Problem(f"--{first['loc'][0]}: {first['msg']}") from None
    note = "; that period is closed: it is billed in the next open one" if month in closed else ""
    return _fact(uid, said, now_ms), said, note


def checked_period(
    tenancy: Tenancy,
    closed: set[str],
    period: str | None,
    now_ms: Millis,
    *,
    since_ms: Millis | None,
) -> str:
    """Return the billing period that is meant; Problem on one that is to come, or that the tenant never had.

    `since_ms` is when the ledger first heard of the tenant. Before the first closed period nothing can be billed any more.
    """
    present = month_at(tenancy.cut, now_ms)
    if period is None:
        return present
    month = parse_month(period, now_ms)
    name = tenancy.terms.name if tenancy.terms else tenancy.tenant_uid
    if month > present:
        raise Problem(
            f"the billing period {month} of tenant {name} is yet to come; the present one is {present}"
        )
    known = [first_month(tenancy) or present, present]
    known += [month_at(tenancy.cut, since_ms)] if since_ms is not None else []
    first = min(closed or known)
    if month < first:
        raise Problem(f"tenant {name} has no billing period {month}: the first one is {first}")
    return month


def checked_claim(tenancy: Tenancy, claim: str) -> str:
    """Return the namespace of a claim; Problem if the ledger has none of that name that was ever billed to the tenant."""
    held = tenancy.holdings
    uids = {*held.bound, *held.cancelled}
    known = {
        f"{terms.namespace}/{terms.name}"
        for (uid, _), terms in tenancy.reservations.items()
        if uid in uids
    }
    if claim not in known:
        raise Problem(
            f"no claim {claim} was ever billed to that tenant; give NAMESPACE/NAME, as `sublet usage` shows it"
        )
    return claim.partition("/")[0]


async def _read(url: str, word: Word, now_ms: Millis) -> tuple[Fact, Adjustment, str]:
    """Return what is to be written, by what the ledger says; nothing is written, and no older schema is brought up to date."""
    ledger = SqlLedger(url, read_only=True)
    try:
        books = await read_books(ledger)
        ((uid),) = tenants_named(books, [word.tenant])
        since = [f.at_ms for f in await ledger.facts_of([uid]) if f.kind is EntryKind.TERMS]
        return worded(books, uid, word, now_ms, since_ms=min(since, default=None))
    except (LedgerUnavailable, BrokenLedger) as error:
        raise Problem(str(error)) from error
    finally:
        await ledger.close()


async def _written(url: str, fact: Fact, said: Adjustment) -> Adjusted:
    ledger = SqlLedger(url)
    try:
        return await write_adjustment(ledger, fact, said)
    except LedgerUnavailable as error:
        raise Problem(str(error)) from error
    finally:
        await ledger.close()


def _fact(uid: TenantUID, said: Adjustment, now_ms: Millis) -> Fact:
    return Fact(
        claim_uid=ClaimUID(uid),
        sequence=0,
        tenant_uid=uid,
        lease_uid=LeaseUID(""),
        kind=EntryKind.ADJUSTMENT,
        type=EntryType.SET,
        gpus=0,
        at_ms=now_ms,
        price_hash=said.hash,
        tags_hash="",
        source_version="",
    )


def _person(by: str | None) -> str:
    """Return who says so, the user here if nobody is named; Problem if that is no person."""
    try:
        who = by or getpass.getuser()
    except (KeyError, OSError):
        raise Problem("nobody knows your user name here; say who you are: --by NAME") from None
    if who.strip() == OPERATOR:  # also the user of the operator's own pod
        raise Problem(
            f"{OPERATOR!r} is the operator in the audit trail; say who you are: --by NAME"
        )
    return who


def _as_data(done: Adjusted, fact: Fact, said: Adjustment) -> dict[str, Any]:
    fields = said.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {"seq": done.seq, "isNew": done.is_new, "tenantUid": fact.tenant_uid, **fields}
