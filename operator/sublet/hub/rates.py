"""The table of dated exchange rates: a file of the platform team's, kept in the ledger line by line as it grows.

`SUBLET_RATES_FILE` names it; YAML with `reportingCurrency` and `rates`, each with `currency`, `effectiveTime`, `rate`. It is read when it
changes. Entries are added, never changed: a table that drops one, or says another rate of the same instant, is refused,
and the newest one of the ledger holds on.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog
import yaml
from pydantic import ValidationError

from sublet.api.ids import ClaimUID, LeaseUID, TenantUID
from sublet.api.times import Millis, format_instant
from sublet.clock import Clock
from sublet.hub.marks import Ledger
from sublet.ledger.entry import EntryKind, EntryType, Fact
from sublet.ledger.port import LedgerConflict, LedgerUnavailable
from sublet.ledger.texts.rates import DatedRate, Rates

SUBJECT: Final = "rates"
LOOK_SECONDS: Final = 5.0
_MOST_BYTES: Final = 1_048_576


class RatesRefused(ValueError):
    """The file can't be the next table; one line says why."""


def parse_rates(text: str) -> Rates:
    """Return the table that a file says; RatesRefused on anything else."""
    try:
        # every scalar as the text that it is: no rate passes through a float
        raw = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506  it makes texts, lists and mappings alone
    except (yaml.YAMLError, RecursionError) as error:
        raise RatesRefused(f"no YAML: {' '.join(str(error).split())[:200]}") from None
    if not isinstance(raw, dict):
        raise RatesRefused("a mapping with reportingCurrency and rates is wanted")
    unknown = sorted(str(key) for key in raw.keys() - {"reportingCurrency", "rates"})
    if unknown:
        raise RatesRefused(f"unknown field {unknown[0]}; known: reportingCurrency, rates")
    try:
        found = Rates.model_validate({**raw, "kind": Rates.KIND})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RatesRefused(f"{where}: {first['msg']}") from None
    keys: set[tuple[str, Millis]] = set()
    for index, each in enumerate(found.rates):
        if (key := (each.currency, each.effective_time)) in keys:
            raise RatesRefused(f"rates.{index}: {each.currency} has two rates of one instant")
        keys.add(key)
        if each.currency == found.reporting_currency:
            raise RatesRefused(f"rates.{index}: {each.currency} is the reporting currency itself")
    ordered = sorted(found.rates, key=lambda r: (r.effective_time, r.currency))
    return found.model_copy(update={"rates": tuple(ordered)})


def follows(before: Rates, after: Rates) -> None:
    """Raise RatesRefused unless a table says all that the one before said."""
    if after.reporting_currency != before.reporting_currency:
        raise RatesRefused(f"reportingCurrency is {before.reporting_currency} and can't change")
    said = {(r.currency, r.effective_time): r.rate for r in after.rates}
    for each in before.rates:
        if (found := said.get((each.currency, each.effective_time))) != each.rate:
            raise RatesRefused(f"{_words(each)} stood in the table and {'is missing' if found is None else 'was changed'}; entries are added, never changed")  # fmt: skip


class RatesFile:
    """Follows the file, by a task of its own."""

    def __init__(
        self,
        path: str,
        ledger: Ledger,
        clock: Clock,
        told: Callable[[bool], None] = lambda _: None,
    ) -> None:
        """With an empty path nothing is followed; `told` whether the file as it is can't be taken over."""
        self._path = Path(path) if path else None
        self._ledger = ledger
        self._clock = clock
        self._told = told
        self._seen: tuple[int, int] | None = None  # mtime and size that were settled
        self.fault = ""
        """Why the file as it is now doesn't hold; empty: it does, or there is none."""

    async def run(self, leads: Callable[[], bool]) -> None:
        """Look at the file now and then, for ever."""
        while self._path is not None:
            if leads():
                await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Take the file over into the ledger if it changed; what can't be read or written now is tried again."""
        if self._path is None:
            return
        try:
            stat = await asyncio.to_thread(self._path.stat)
            stamp = (stat.st_mtime_ns, stat.st_size)
            if stamp == self._seen:
                return
            text = await asyncio.to_thread(_read, self._path)
            # years of daily rates take seconds, in which the Lease is to be renewed
            await self._take(await asyncio.to_thread(parse_rates, text))
        except RatesRefused as refused:
            self._seen = stamp
            self._say(f"{self._path}: {refused}")
        except (OSError, UnicodeError) as error:
            self._say(f"{self._path}: it can't be read: {error}")
        except (LedgerUnavailable, LedgerConflict, KeyError, ValueError) as error:
            self._say(f"{self._path}: {error}")
        else:
            self._seen = stamp
            self._say("")

    async def _take(self, table: Rates) -> None:
        said = [f for f in await self._ledger.facts_of([SUBJECT]) if f.kind is EntryKind.TERMS]
        if said:
            texts = await self._ledger.read_terms([said[-1].price_hash])
            before = Rates.read(texts[said[-1].price_hash])
            follows(before, table)
            if table.hash == said[-1].price_hash:
                return
        fact = Fact(
            claim_uid=ClaimUID(SUBJECT),
            sequence=len(said) + 1,
            tenant_uid=TenantUID(""),
            lease_uid=LeaseUID(""),
            kind=EntryKind.TERMS,
            type=EntryType.SET,
            gpus=0,
            at_ms=self._clock.now_ms(),
            price_hash=table.hash,
            tags_hash="",
            source_version="",
        )
        await self._ledger.append([fact], {table.hash: table.text})
        structlog.get_logger().info("rates taken over", entries=len(table.rates))

    def _say(self, fault: str) -> None:
        """Log a fault when it begins and when it is over, not at each look."""
        log = structlog.get_logger()
        if fault and fault != self.fault:
            log.error("rates not taken over", error=fault)
        if self.fault and not fault:
            log.info("the rates file is good again")
        self.fault = fault
        self._told(bool(fault))


def _read(path: Path) -> str:
    with path.open("rb") as file:
        text = file.read(_MOST_BYTES + 1)
    if len(text) > _MOST_BYTES:
        raise RatesRefused(f"it is longer than {_MOST_BYTES} bytes")
    return text.decode()


def _words(each: DatedRate) -> str:
    return f"{each.currency} {each.rate:f} from {format_instant(each.effective_time)}"
