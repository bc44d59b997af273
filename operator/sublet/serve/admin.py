"""The admin endpoint: read-only JSON and a page, on loopback, reached by port-forward, so that RBAC on pods/portforward is its gate.

The Host header is checked, or a web page in somebody's browser could read it through a forwarded port.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any, Final

from aiohttp import web

from sublet.api.times import format_instant, parse_instant
from sublet.book.view import View
from sublet.clock import Clock
from sublet.ledger.audit import write_audit
from sublet.ledger.entry import EntryKind
from sublet.ledger.interval import BrokenLedger
from sublet.ledger.line import write_line
from sublet.ledger.port import LedgerUnavailable
from sublet.ledger.usage import By, Usage, rounded
from sublet.pages.desk import desk_page
from sublet.rating.minor_units import places
from sublet.serve.books import LedgerBooks
from sublet.serve.last_terms import last_terms
from sublet.serve.ports import Observed
from sublet.serve.usage import listed_usage
from sublet.store.reading import read_books
from sublet.store.sql import SqlLedger
from sublet.store.trail import SqlTrail

_PAGE: Final = 5_000
"""Lines of the ledger in one answer."""
_DIGITS: Final = 18
"""Of a line's number, at most."""
_HOSTS: Final = {"127.0.0.1", "localhost", "[::1]"}


class Admin:
    """Answers questions about usage, the ledger and the book's last decisions."""

    def __init__(
        self,
        observed: Observed,
        ledger: SqlLedger,
        books: LedgerBooks,
        clock: Clock,
        *,
        last_pass: Callable[[], Awaitable[str | None]],
    ) -> None:
        self._observed = observed
        self._ledger = ledger
        self._books = books
        self._clock = clock
        self._last_pass = last_pass

    def app(self) -> web.Application:
        """Return the web application."""
        app = web.Application(middlewares=[_guard])
        app.router.add_get("/", self._desk)
        app.router.add_get("/admin/v1/usage", self._usage)
        app.router.add_get("/admin/v1/ledger/verify", self._verify)
        app.router.add_get("/admin/v1/ledger/position", self._position)
        app.router.add_get("/admin/v1/ledger/open", self._open)
        app.router.add_get("/admin/v1/ledger/entries", self._entries)
        app.router.add_get("/admin/v1/ledger/audit", self._audit)
        app.router.add_get("/admin/v1/pass", self._pass)
        return app

    async def _desk(self, _: web.Request) -> web.Response:
        """Show the page: what the hub's state says, as this replica knows it."""
        seen = self._observed
        view = View(self._clock.now_ms(), seen.claims(), seen.leases(), seen.classes())
        # thousands of claims are a second's work
        text = await asyncio.to_thread(desk_page, view)
        headers = {"Cache-Control": "no-store", "Content-Security-Policy": "frame-ancestors 'none'"}
        return web.Response(text=text, content_type="text/html", headers=headers)

    async def _usage(self, request: web.Request) -> web.Response:
        query = request.query
        try:
            by = By(query.get("by", "claim"))
            from_ms = parse_instant(query["from"])
            to_ms = parse_instant(query["to"])
        except (KeyError, ValueError) as error:
            return _error(400, f"give by=claim|tenant|lease, from= and to= as RFC 3339 ({error})")
        books, now_ms = await read_books(self._ledger), self._clock.now_ms()
        lines = await asyncio.to_thread(listed_usage, books, by, from_ms, to_ms, now_ms)
        names = self._names(by)
        return web.json_response(
            {
                "by": by.value,
                "from": format_instant(from_ms),
                "to": format_instant(to_ms),
                "items": [item for line in lines for item in _items(line, names)],
            }
        )

    async def _verify(self, request: web.Request) -> web.Response:
        proof, trail = await self._ledger.verify(), await SqlTrail(self._ledger).verify()
        return web.json_response({**asdict(proof), "audit": asdict(trail)})

    async def _position(self, request: web.Request) -> web.Response:
        seq = _number(request.query.get("seq", "0"))
        if seq is None:
            return _error(400, "give seq= as a line's number")
        count, head, that = await self._ledger.position(seq)
        return web.json_response({"entries": count, "head": head, "hash": that})

    async def _open(self, _: web.Request) -> web.Response:
        """Answer of each claim that was ever billed with which reservation last, and to when; without an end it still is."""
        found = await self._books.intervals()
        causes = {x.price_hash for x in found if x.kind is EntryKind.DOWNTIME}
        texts = await self._ledger.read_terms(sorted(causes))
        return web.json_response(await asyncio.to_thread(last_terms, found, texts))

    async def _entries(self, request: web.Request) -> web.Response:
        """Show the lines after one, a page of them, with the texts of their hashes; no line: that was the last."""
        after = _number(request.query.get("after", "0"))
        if after is None:
            return _error(400, "give after= as a line's number")
        lines = await self._ledger.read_entries(after, _PAGE)
        hashes = {h for e in lines for h in (e.fact.price_hash, e.fact.tags_hash) if h}
        terms = await self._ledger.read_terms(sorted(hashes))
        return web.json_response({"items": [write_line(e) for e in lines], "terms": terms})

    async def _audit(self, request: web.Request) -> web.Response:
        """Show the audit trail's records after one, a page of them, of a claim, a lease, or from an instant on."""
        query = request.query
        after, since = _number(query.get("after", "0")), query.get("since")
        try:
            since_ms = parse_instant(since) if since else None
        except ValueError as error:
            return _error(400, f"give since= as RFC 3339 ({error})")
        if after is None:
            return _error(400, "give after= as a record's number")
        lines = await SqlTrail(self._ledger).lines(
            after, _PAGE, subject=query.get("claim"), lease=query.get("lease"), since_ms=since_ms
        )
        return web.json_response({"items": [write_audit(line) for line in lines]})

    async def _pass(self, request: web.Request) -> web.Response:
        text = await self._last_pass()
        if text is None:
            return _error(404, "no pass has decided anything since this replica began to lead")
        return web.json_response(text=text)

    def _names(self, by: By) -> dict[str, str]:
        if by is By.CLAIM:
            return {c.metadata.uid: c.metadata.key for c in self._observed.claims()}
        if by is By.TENANT:
            return {t.metadata.uid: t.metadata.name for t in self._observed.tenants()}
        return {x.metadata.uid: x.metadata.name for x in self._observed.leases()}


def _number(text: str) -> int | None:
    """Return the number of a line; None if it is none, or more than a store can count."""
    return int(text) if text.isdecimal() and len(text) <= _DIGITS else None


def _items(line: Usage, names: dict[str, str]) -> list[dict[str, Any]]:
    item: dict[str, Any] = {
        "uid": line.uid,
        "name": names.get(line.uid, line.uid),
        "kind": line.kind.value,
        "gpuMilliseconds": line.gpu_milliseconds,
    }
    if not line.charges:
        return [item]
    # each currency with its own time, so that both columns can be added up
    return [
        {
            **item,
            "gpuMilliseconds": line.metered[currency],
            "charge": str(rounded(amount, places(currency))),
            "exactCharge": str(amount),
            "currency": currency,
        }
        for currency, amount in line.charges.items()
    ]


@web.middleware
async def _guard(request: web.Request, handler: Any) -> web.StreamResponse:
    host = request.host.rsplit(":", 1)[0]
    if host not in _HOSTS:
        return _error(403, "ask through a port-forward to 127.0.0.1")
    try:
        answer: web.StreamResponse = await handler(request)
    except LedgerUnavailable as error:
        return _error(503, str(error))
    except BrokenLedger as error:
        return _error(500, f"the ledger can't be read: {error}; see /admin/v1/ledger/verify")
    return answer


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"error": message}, status=status)
