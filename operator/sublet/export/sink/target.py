"""A sink from what a person writes: a directory's path, or `s3://bucket/prefix`."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from sublet.api.urls import host_of
from sublet.export.sink.bucket import Bucket
from sublet.export.sink.directory import Directory
from sublet.export.sink.port import Sink

_BUCKET: Final = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(/.*)?")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_ENDPOINT: Final = re.compile(r"https?://[^\s@?#]+")
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
        return _directory(target)
    found = _BUCKET.fullmatch(target)
    prefix = (found[2] or "").strip("/") if found else ""
    # the bucket's client takes no part of a name that is empty or leads elsewhere
    if found is None or (prefix and not {"", ".", ".."}.isdisjoint(prefix.split("/"))):
        raise NoTarget(f"{target!r} is no place for files: give a directory, or s3://bucket/prefix")
    where = endpoint or known.get("AWS_ENDPOINT_URL_S3") or known.get("AWS_ENDPOINT_URL") or ""
    if where and not _is_endpoint(where):
        # not shown: it may hold a password
        raise NoTarget(
            "this is no S3 endpoint: give a URL without a user, as https://s3.example.org"
        )
    return Bucket(
        found[1],
        prefix=prefix,
        endpoint=where or None,
        region=region or known.get("AWS_REGION") or known.get("AWS_DEFAULT_REGION") or _REGION,
    )


def _directory(target: str) -> Directory:
    try:
        return Directory(Path(target).expanduser())
    except RuntimeError as error:  # ~ of a user who isn't there
        raise NoTarget(f"{target!r} is no place for files: {error}") from error


def _is_endpoint(where: str) -> bool:
    """Say whether a bucket's client can ask there: it breaks down over what is no URL, and names what it asks in errors."""
    return bool(_ENDPOINT.fullmatch(where)) and bool(host_of(where))
