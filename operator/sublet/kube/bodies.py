"""What comes back from an API server, as bytes and as objects: bounded, and never more than it says it is.

A server that lies can send any number of bytes in any shape. Whatever isn't what the API promises ends here as
`BadAnswer`, so that nobody above ever meets a decoder's own errors.
"""

from dataclasses import dataclass
from typing import Any, Final, TypeVar

import aiohttp
import msgspec

from sublet.kube.errors import BadAnswer

T = TypeVar("T")

ERROR_BYTES: Final = 256 * 1024
"""Of an error's body; more is cut off."""
_SHAPE_LENGTH: Final = 200
_DECODERS: Final[dict[Any, msgspec.json.Decoder[Any]]] = {}  # type -> its decoder


@dataclass(slots=True)
class Reading:
    """How many bytes of answers one session holds in memory just now, over all its requests."""

    limit_bytes: int
    held_bytes: int = 0

    async def read(self, response: aiohttp.ClientResponse, limit: int) -> bytes:
        """Read a body of at most `limit` bytes; BadAnswer if it is larger, alone or with the others under way."""
        parts: list[bytes] = []
        size = 0
        try:
            async for chunk in response.content.iter_any():
                size += len(chunk)
                self.held_bytes += len(chunk)
                if size > limit:
                    raise BadAnswer(f"the answer is larger than {limit} bytes")
                if self.held_bytes > self.limit_bytes:
                    raise BadAnswer(
                        f"the answers under way are larger than {self.limit_bytes} bytes together"
                    )
                parts.append(chunk)
            return b"".join(parts)
        finally:
            self.held_bytes -= size


async def read_up_to(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """Read the beginning of a body: the status matters more than a text that never ends."""
    body = b""
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limit:
            break
    return body[:limit]


def decoder_of(type_: type[T]) -> msgspec.json.Decoder[T]:
    """Return the decoder of a type, made once."""
    decoder = _DECODERS.get(type_)
    if decoder is None:
        decoder = _DECODERS[type_] = msgspec.json.Decoder(type_)
    return decoder


def decode(body: Any, decoder: msgspec.json.Decoder[T], what: str = "the server's answer") -> T:
    """Return what a body holds; BadAnswer if it isn't that: other fields, no JSON, no UTF-8, too deep."""
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        said = str(error)[:_SHAPE_LENGTH]
        raise BadAnswer(f"{what} is not what the API promises: {said}") from error


def status_object(body: bytes) -> dict[str, Any]:
    """Return an error's `Status`, or what there is of a text in its place."""
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return {"message": body[:200].decode(errors="replace")}
    return decoded if isinstance(decoded, dict) else {}
