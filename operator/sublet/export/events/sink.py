"""An HTTP sink of CloudEvents: one POST, and what its answer means. Nothing of the answer's body is believed."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlsplit

import aiohttp

from sublet.export.events.cloudevent import Event

_REQUEST: Final = aiohttp.ClientTimeout(total=30.0, connect=10.0)
_ONE: Final = "application/cloudevents+json; charset=UTF-8"
_BATCH: Final = "application/cloudevents-batch+json; charset=UTF-8"
_PASSING: Final = frozenset({408, 425, 429})
"""Answers below 500 that mean: later."""
_LONGEST_WAIT_SECONDS: Final = 3_600.0


class Outcome(StrEnum):
    """What became of a request."""

    TAKEN = "taken"
    AWAY = "away"
    """No answer, or one that says: later."""
    REFUSED = "refused"
    """The sink doesn't want it as it is; somebody must change something there or here."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a sink said."""

    outcome: Outcome
    text: str = ""
    wait_seconds: float = 0.0
    """For how long it asks not to be asked again."""


class Sink(Protocol):
    """What takes events."""

    @property
    def name(self) -> str:
        """Return what it is called in logs."""

    async def send(self, events: Sequence[Event], *, is_batch: bool) -> Answer:
        """Send events in order; whatever goes wrong is an answer."""

    async def close(self) -> None:
        """Let go of connections."""


class HttpSink:
    """A URL that takes CloudEvents in structured or batch mode."""

    def __init__(self, url: str, *, token_file: str | None = None) -> None:
        self._url = url
        self._token_file = Path(token_file) if token_file else None
        self._session: aiohttp.ClientSession | None = None

    @property
    def name(self) -> str:
        """Return the URL's host; the rest may hold secrets."""
        return urlsplit(self._url).hostname or ""

    async def send(self, events: Sequence[Event], *, is_batch: bool) -> Answer:
        """Send events in order; whatever goes wrong is an answer."""
        try:
            headers = await self._headers(is_batch=is_batch)
        except OSError as error:
            return Answer(Outcome.REFUSED, f"the token can't be read: {error}")
        except UnicodeError:
            # what it says of the bytes would be a part of the token
            return Answer(
                Outcome.REFUSED, f"the token can't be read: no text in {self._token_file}"
            )
        body = json.dumps(list(events) if is_batch else events[0], separators=(",", ":"))
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=_REQUEST)
        try:
            async with self._session.post(
                self._url, data=body.encode(), headers=headers, allow_redirects=False
            ) as got:
                return _answer(got)
        except aiohttp.InvalidURL:
            # it would name the URL, which may hold secrets
            return Answer(Outcome.REFUSED, "its URL is none")
        except (aiohttp.ClientError, OSError, ValueError, TimeoutError) as error:
            return Answer(Outcome.AWAY, f"{type(error).__name__} {error}".strip())

    async def close(self) -> None:
        """Let go of connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _headers(self, *, is_batch: bool) -> dict[str, str]:
        headers = {"Content-Type": _BATCH if is_batch else _ONE}
        if self._token_file is not None:
            # read each time: tokens are renewed in place
            token = await asyncio.to_thread(self._token_file.read_text)
            headers["Authorization"] = f"Bearer {token.strip()}"
        return headers


def _answer(got: aiohttp.ClientResponse) -> Answer:
    if HTTPStatus.OK <= got.status < HTTPStatus.MULTIPLE_CHOICES:
        return Answer(Outcome.TAKEN)
    text = f"{got.status} {got.reason}"
    if got.status >= HTTPStatus.INTERNAL_SERVER_ERROR or got.status in _PASSING:
        asked = got.headers.get("Retry-After", "")
        is_number = asked.isascii() and asked.isdecimal()
        wait = min(float(asked), _LONGEST_WAIT_SECONDS) if is_number else 0.0
        return Answer(Outcome.AWAY, text, wait)
    return Answer(Outcome.REFUSED, text)
