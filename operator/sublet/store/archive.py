"""The file that `sublet ledger backup` writes: a whole ledger as text, which proves itself. Written and read line by line.

Gzip of JSON lines without any time of writing, so that the same ledger gives the same bytes: a header with the counts and the chain's heads,
then texts, entries, the audit trail, intents, notices and the outbox's cursors, and a digest of all of that. The digest tells of damage; that nothing was
changed on purpose is told by the chain, whose head stands elsewhere too.
"""

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Final

from sublet.ledger.audit import AuditLine, read_audit, verify_audit
from sublet.ledger.chain import Stored, texts_fault, verify_lines
from sublet.ledger.line import read_line

FORMAT: Final = "sublet-ledger/1"
_LEVEL: Final = 6
PARTS: Final = ("text", "entry", "audit", "intent", "notice", "cursor")
"""What lines say, in this order."""

Item = tuple[str, Any]
"""(part, what it says)"""


class BadArchive(ValueError):
    """The file is no whole, unchanged backup of a ledger; says what to do."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a backup holds."""

    ledger: str
    """Id of the ledger."""
    entries: int
    head: str
    audit: int
    audit_head: str


def write_archive(file: IO[bytes], header: Header, items: Iterator[Item]) -> None:
    """Write a backup."""
    digest = hashlib.sha256()
    with gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=_LEVEL, mtime=0) as out:

        def put(value: Any) -> None:
            line = _line(value)
            digest.update(line)
            out.write(line)

        put({"format": FORMAT, **asdict(header)})
        for item in items:
            put(item)
        out.write(_line({"sha256": digest.hexdigest()}))


def read_archive(path: Path) -> Iterator[Header | Item]:
    """Yield the header, then the items; BadArchive at the place where the file is found to be wrong, its end at the latest."""
    try:
        with gzip.open(path, "rb") as file:
            yield from _read(file)
    except (EOFError, zlib.error):
        raise BadArchive(
            "it was cut off or damaged; take another copy, or an older backup"
        ) from None
    except gzip.BadGzipFile:
        raise BadArchive("it is no backup that `sublet ledger backup` wrote") from None


def check_archive(path: Path) -> Header:
    """Read a whole file and prove what it holds; BadArchive if anything is wrong."""
    lines = read_archive(path)
    header = next(lines)
    assert isinstance(header, Header)  # noqa: S101  it comes first
    items = _Split(lines)
    text_fault = texts_fault((str(h), str(t)) for h, t in items.of("text"))
    proof = verify_lines(map(_stored, items.of("entry")), text_fault)
    trail = verify_audit(map(_audited, items.of("audit")))
    fault = proof.fault or trail.fault
    if fault is not None:
        raise BadArchive(f"it holds a ledger that is broken: {fault}; take an older backup")
    for part in PARTS[3:]:
        for _ in items.of(part):
            pass
    found = (proof.entries, proof.head, trail.entries, trail.head)
    if found != (header.entries, header.head, header.audit, header.audit_head):
        raise BadArchive("it doesn't hold what its first line says; take another copy")
    return header


class _Split:
    """One pass over items that come part by part."""

    def __init__(self, items: Iterator[Any]) -> None:
        self._items = items
        self._next: Item | None = next(items, None)

    def of(self, part: str) -> Iterator[Any]:
        while self._next is not None and self._next[0] == part:
            yield self._next[1]
            self._next = next(self._items, None)


def _read(file: gzip.GzipFile) -> Iterator[Header | Item]:
    digest = hashlib.sha256()
    first = file.readline()
    digest.update(first)
    yield _header(first)
    place = 0
    while line := file.readline():
        value = _parsed(line)
        if isinstance(value, dict):
            if value.get("sha256") != digest.hexdigest() or file.read(1):
                raise BadArchive("its digest isn't that of its content: it was changed or damaged")
            return
        if not isinstance(value, list) or len(value) != 2 or value[0] not in PARTS[place:]:  # noqa: PLR2004  a pair
            raise BadArchive(
                "it holds a line that this version of sublet doesn't know; use a newer one"
            )
        place = PARTS.index(value[0])
        digest.update(line)
        yield value[0], value[1]
    raise BadArchive("it was cut off; take another copy, or an older backup")


def _header(line: bytes) -> Header:
    try:
        value = _parsed(line)
    except BadArchive:
        value = None
    format_ = value.get("format") if isinstance(value, dict) else None
    if not str(format_).startswith("sublet-ledger/"):
        raise BadArchive("it is no backup that `sublet ledger backup` wrote")
    if format_ != FORMAT:
        raise BadArchive(f"it is of format {format_}, this version of sublet reads {FORMAT}")
    try:
        return Header(**{k: v for k, v in value.items() if k != "format"})
    except TypeError:
        raise BadArchive("its first line isn't as `sublet ledger backup` writes it") from None


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        raise BadArchive(
            "it was changed or damaged; take another copy, or an older backup"
        ) from None


def _stored(item: Any) -> Stored:
    try:
        entry, id_ = read_line(item)
    except (KeyError, TypeError, ValueError) as error:
        raise BadArchive(f"it holds a line that is none ({error}); take another copy") from None
    return Stored(entry, id_)


def _audited(item: Any) -> tuple[AuditLine, str, str]:
    try:
        line = read_audit(item)
    except (KeyError, TypeError, ValueError) as error:
        raise BadArchive(f"it holds a line that is none ({error}); take another copy") from None
    return line, line.record.id, line.hash


def _line(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode() + b"\n"
