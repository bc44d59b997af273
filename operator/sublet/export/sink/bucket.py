"""Files in an S3-compatible bucket: an object is there when its upload has ended, and not before.

Credentials come from the environment as S3 clients know them (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, a
web identity, the machine's role); they are never settings of ours and never in an error.
"""

import contextlib
import re
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import obstore
from obstore.exceptions import BaseError, NotFoundError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from sublet.export.sink.drafts import Drafts
from sublet.export.sink.port import SinkFailed

if TYPE_CHECKING:
    from obstore.store import S3Config  # there for type checkers only

_DRAFT: Final = "sublet-export-"
_WORDS: Final = 300
"""How much of a client's error is passed on."""
_BETWEEN: Final = re.compile(r"\s+")


class Bucket:
    """A bucket, and a prefix in it."""

    def __init__(
        self,
        bucket: str,
        *,
        prefix: str = "",
        endpoint: str | None = None,
        region: str = "us-east-1",
        retry_seconds: float = 60.0,
        spool: Path | None = None,
    ) -> None:
        """Make a sink; `endpoint` is the server's URL where it isn't AWS, `spool` where drafts are kept."""
        self._where = f"bucket {bucket} at {endpoint or 'AWS ' + region}"
        self._prefix, self._spool = prefix.strip("/"), spool or Path(tempfile.gettempdir())
        self._drafts = Drafts(self._spool, _DRAFT)
        config: S3Config = {
            "region": region,
            "virtual_hosted_style_request": endpoint is None,
            # not every server knows the request that deletes many, and we never delete but one
            "disable_bulk_delete": True,
        }
        if endpoint is not None:
            config["endpoint"] = endpoint
        self._store = S3Store(
            bucket,
            config=config,
            client_options={
                "allow_http": endpoint is not None and endpoint.startswith("http://"),
                "connect_timeout": timedelta(seconds=10),
                "timeout": timedelta(seconds=600),
            },
            retry_config={"max_retries": 5, "retry_timeout": timedelta(seconds=retry_seconds)},
        )

    def draft(self) -> Path:
        """Return a new empty file of this machine."""
        try:
            return self._drafts.new()
        except OSError as error:
            raise SinkFailed(f"{self._spool} can't be written to: {error.strerror}") from error

    def keep(self, draft: Path, name: str) -> None:
        """Upload a draft; SinkFailed, and the object is what it was."""
        with self._said(name, "was not written"):
            obstore.put(self._store, self._key(name), draft)
        self.drop(draft)

    def drop(self, draft: Path) -> None:
        """Delete a draft."""
        self._drafts.drop(draft)

    def read(self, name: str) -> bytes | None:
        """Return an object's bytes, None if there is none."""
        with self._said(name, "can't be read"):
            try:
                return bytes(obstore.get(self._store, self._key(name)).bytes())
            except (NotFoundError, FileNotFoundError):
                return None

    def remove(self, name: str) -> None:
        """Delete an object; some servers say of one that is gone already that it isn't there."""
        with (
            self._said(name, "can't be deleted"),
            contextlib.suppress(NotFoundError, FileNotFoundError),
        ):
            obstore.delete(self._store, self._key(name))

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}" if self._prefix else name

    @contextlib.contextmanager
    def _said(self, name: str, what: str) -> Iterator[None]:
        """Turn what the client says into one line, without what it sent."""
        try:
            yield
        except (PermissionDeniedError, UnauthenticatedError, PermissionError):
            raise SinkFailed(
                f"{self._where} refuses: {name} {what}; are the credentials right, and may they write there?"
            ) from None
        except (BaseError, OSError) as error:
            text = _BETWEEN.sub(" ", str(error).split("Debug source")[0]).strip()[:_WORDS]
            raise SinkFailed(f"{self._where}: {name} {what}: {text}") from None
