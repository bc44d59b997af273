"""A token that a kubeconfig's program or file gives, taken anew where a server refuses the last one, as it ends.

Kept for all sessions of one endpoint: who was refused renews it, once for all of them.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

_TAKE_SECONDS: Final = 60.0
"""A program may ask a person."""
_REST_SECONDS: Final = 10.0
"""After what was taken in vain: each refused request would run the program."""


class Login:
    """Holds the newest token."""

    def __init__(self, token: str, take: Callable[[], Awaitable[str]]) -> None:
        """`take`: returns a token, maybe the same or none; may raise OSError and ValueError."""
        self._token, self._take = token, take
        self._taking: asyncio.Task[None] | None = None
        self._rests_until = float("-inf")

    def token(self) -> str:
        """Return the newest token."""
        return self._token

    async def renew(self) -> None:
        """Take a new token, if there is one; the last one stays if not."""
        if self._taking is None and time.monotonic() >= self._rests_until:
            self._taking = asyncio.create_task(self._renew(), name="login")
        if self._taking is not None:
            # who gives up waiting, such as a renewal of the Lease, doesn't end it for the others
            await asyncio.shield(self._taking)

    async def _renew(self) -> None:
        found = ""
        try:
            async with asyncio.timeout(_TAKE_SECONDS):
                found = await self._take()
        except (OSError, ValueError):
            pass  # whoever was refused says so
        finally:
            self._taking = None
        if found in ("", self._token):
            self._rests_until = time.monotonic() + _REST_SECONDS
        else:
            self._token = found
