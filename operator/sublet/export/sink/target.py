"""A sink from what a person writes: a directory's path, or `s3://bucket/prefix`."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from sublet.export.sink.bucket import Bucket
from sublet.export.sink.directory import Directory
from sublet.export.sink.port import Sink

_BUCKET: Final = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(/.*)?")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_REGION: Final = "us-east-1"


class NoTarget(ValueError):
    """A text that names no place for files."""


def sink_of(
    target: str,
    *,
    endpoint: str = "",
    region: str = "",
    environment: Mapping[str, str] | None = None,
) -> Sink:
    """Return the sink that a text names; NoTarget if it names none.

    Where endpoint and region aren't given the environment says them, in the names that S3 clients know.
    """
    known = os.environ if environment is None else environment
    if not target.strip():
        raise NoTarget("say where files go: a directory, or s3://bucket/prefix")
    if not _SCHEME.match(target):
        return Directory(Path(target).expanduser())
    found = _BUCKET.fullmatch(target)
    if found is None:
        raise NoTarget(f"{target!r} is no place for files: give a directory, or s3://bucket/prefix")
    where = endpoint or known.get("AWS_ENDPOINT_URL_S3") or known.get("AWS_ENDPOINT_URL") or ""
    if where and not re.match(r"https?://", where):
        raise NoTarget(f"{where!r} is no S3 endpoint: give a URL, as https://s3.example.org")
    return Bucket(
        found[1],
        prefix=found[2] or "",
        endpoint=where or None,
        region=region or known.get("AWS_REGION") or known.get("AWS_DEFAULT_REGION") or _REGION,
    )
