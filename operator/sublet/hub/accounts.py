"""What the ledger says of tenants: their spend in their budget's period, and their decayed usage. Apart from planning.

Read now and then by a task of its own and kept whole until it is read again: a store that is away or slow holds up no
plan, which goes on with what was known last. A ledger that was put back to an older state is read from its beginning.
The loop is told only when something came in that may decide otherwise.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import structlog

from sublet.api.gpuclaim import GpuClaim
from sublet.api.gputenant import GpuTenant
from sublet.api.ids import LeaseUID, TenantUID
from sublet.api.periods import month_start, period_start
from sublet.api.times import MS_PER_SECOND
from sublet.book.account import Account, Charge, Metered
from sublet.clock import Clock
from sublet.hub.meter import facts_of, prices_of
from sublet.ledger.entry import Entry, Fact, read_on, reading_from
from sublet.ledger.interval import BrokenLedger
from sublet.ledger.port import LedgerUnavailable
from sublet.ledger.tally import Tally
from sublet.ledger.terms import PriceTerms, parse_price

AWAY_RETRY_SECONDS: Final = 2.0
_PAGE: Final = 5_000
"""Lines in memory at once, however long the ledger is."""


class LedgerReads(Protocol):
    """What is read of the ledger."""

    async def read_entries(self, after_seq: int, limit: int) -> list[Entry]:
        """Return the entries after a line, in order; at most so many."""

    async def read_terms(self, hashes: Sequence[str]) -> dict[str, str]:
        """Return the texts behind hashes: hash -> text."""


@dataclass(frozen=True, slots=True)
class Known:
    """What was read last, as the book's view takes it."""

    accounts: Mapping[TenantUID, Account] = field(default_factory=dict)
    usage: Mapping[TenantUID, Mapping[LeaseUID, int]] = field(default_factory=dict)


class Accounts:
    """Keeps what is known of tenants' money and usage."""

    def __init__(
        self,
        ledger: LedgerReads,
        clock: Clock,
        *,
        tenants: Callable[[], Iterable[GpuTenant]],
        claims: Callable[[], Iterable[GpuClaim]],
        changed: Callable[[], None],
        every_seconds: float,
        half_life_seconds: int,
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._tenants = tenants
        self._claims = claims
        self._changed = changed
        self._every_seconds = every_seconds
        self._half_life_ms = half_life_seconds * MS_PER_SECOND
        self._tally = Tally(self._half_life_ms)
        self._last: Entry | None = None
        """The line that was taken last."""
        self._has_billed = False
        """Something billed came in that nobody was told of yet."""
        self._prices: dict[str, PriceTerms] = {}
        """price hash -> price; what a hash names never changes"""
        self._wanted = asyncio.Event()
        self._fault = ""
        self.known = Known()
        self.settled = False
        """The ledger was read once, or couldn't be."""

    async def run(self) -> None:
        """Read the ledger again and again, at once when a tenant's account is missing."""
        while True:
            self._wanted.clear()  # what is asked for during a reading may come too late for it
            await self.refresh()
            wait = self._every_seconds
            if self._fault:
                wait = min(AWAY_RETRY_SECONDS, wait)
                await asyncio.sleep(wait)
                continue
            try:
                async with asyncio.timeout(wait):
                    await self._wanted.wait()
            except TimeoutError:
                continue

    def tend(self, tenants: Iterable[GpuTenant]) -> None:
        """Have the ledger read soon if there is a budget for which it wasn't: it is new, or its period is another."""
        if any(_lacks_account(tenant, self.known) for tenant in tenants):
            self._wanted.set()

    def begun(self) -> tuple[Fact, ...]:
        """Return the lines that the ledger had open when it was read last."""
        return self._tally.begun()

    async def refresh(self) -> None:
        """Read what is new; what is known stays as it is if that can't be."""
        try:
            news = await self._read()
        except (LedgerUnavailable, BrokenLedger, ValueError) as error:
            self._say(str(error))
            news = not self.settled
        else:
            self._say("")
        self.settled = True
        if news:
            self._changed()

    async def _read(self) -> bool:
        """Bring what is known up to date; return whether that may decide anything otherwise."""
        await self._catch_up()
        now_ms = self._clock.now_ms()
        since = {
            TenantUID(t.metadata.uid): period_start(t.spec.budget.period, now_ms)
            for t in self._tenants()
            if t.spec.budget is not None
        }
        shown = self._shown(set(since))
        spent = self._tally.spent(since, now_ms, shown)
        charged = self._tally.charged(since, shown)
        billed_prices = {price for prices in spent.values() for price in prices}
        charged_prices = {price for months in charged.values() for _, price in months}
        await self._learn_prices(billed_prices | charged_prices)
        accounts = {
            uid: Account(
                since_ms=since[uid],
                as_of_ms=now_ms,
                metered=tuple(self._metered(p, amount) for p, amount in prices.items()),
                charges=tuple(
                    Charge(month_start(month), self._metered(price, amount))
                    for (month, price), amount in charged[uid].items()
                ),
            )
            for uid, prices in sorted(spent.items())
        }
        usage = await asyncio.to_thread(self._tally.usage, now_ms)
        before, self.known = self.known, Known(accounts, usage)
        waits = before.usage != usage and any(c.status.pending for c in self._claims())
        periods = [{u: a.since_ms for u, a in k.items()} for k in (before.accounts, accounts)]
        billed, self._has_billed = self._has_billed, False
        return billed or waits or periods[0] != periods[1]

    async def _catch_up(self) -> None:
        """Take all lines there are."""
        while True:
            page = await self._ledger.read_entries(reading_from(self._last), _PAGE)
            new = read_on(page, self._last)
            if new is None:
                self._tally, self._last, self._has_billed = Tally(self._half_life_ms), None, True
                continue
            # the first time this is the whole ledger: not on the loop's time
            self._has_billed |= await asyncio.to_thread(self._tally.take, self._taken(new))
            if len(page) < _PAGE:
                return

    def _taken(self, entries: Iterable[Entry]) -> Iterator[Fact]:
        """Yield facts, and remember how far they were taken: none is taken twice, whatever comes after it."""
        for entry in entries:
            yield entry.fact
            self._last = entry

    def _shown(self, tenants: set[TenantUID]) -> list[Fact]:
        """Return the lines that tenants' claims call for now; whoever is bound is billed, its line come in or not."""
        found: list[Fact] = []
        for claim in self._claims() if tenants else ():
            held = claim.status.allocation
            if held is None or TenantUID(held.tenant_uid) not in tenants:
                continue
            self._prices |= {price.hash: price for price in prices_of(held)}
            found += facts_of(claim)
        return found

    async def _learn_prices(self, hashes: set[str]) -> None:
        if missing := sorted(hashes - self._prices.keys()):
            texts = await self._ledger.read_terms(missing)
            self._prices |= {name: parse_price(text) for name, text in texts.items()}
        if unknown := sorted(hashes - self._prices.keys()):
            raise BrokenLedger(f"the ledger has no price {unknown[0]}")

    def _metered(self, price: str, gpu_milliseconds: int) -> Metered:
        terms = self._prices[price]
        return Metered(terms.per_gpu_hour, terms.currency, gpu_milliseconds)

    def _say(self, fault: str) -> None:
        """Log a fault when it begins and when it is over, not at each try."""
        if fault and not self._fault:
            structlog.get_logger().error("accounts not read", error=fault)
        if self._fault and not fault:
            structlog.get_logger().info("accounts are read again")
        self._fault = fault


def _lacks_account(tenant: GpuTenant, known: Known) -> bool:
    """Say whether nothing is known of a budget's period, as it was when the ledger was read last."""
    budget = tenant.spec.budget
    if budget is None:
        return False
    account = known.accounts.get(TenantUID(tenant.metadata.uid))
    return account is None or account.since_ms != period_start(budget.period, account.as_of_ms)
