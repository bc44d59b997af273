"""What an export consists of, written last: whoever reads it finds every file whole. Canonical JSON.

It names the ledger's line that the files were made from: the same line, period and settings give the same files.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from sublet.api.times import format_instant
from sublet.export.focus.account import Period
from sublet.export.focus.columns import Version

NAME: Final = "manifest.json"
UNFINISHED: Final = "unfinished.json"
"""Every file that may stand in a folder while an export is under way; there is none of it once one has ended."""
SCHEMA: Final = 1
_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of an export."""

    name: str
    dataset: str
    format: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """One export."""

    audience: str
    """`tenant/NAME` or `wholesale`."""
    version: Version
    period: Period
    ledger_seq: int
    ledger_hash: str
    files: tuple[FileEntry, ...]

    @property
    def text(self) -> str:
        """Return the manifest as it is written."""
        fields: dict[str, Any] = {
            "asOf": format_instant(self.period.as_of_ms),
            "audience": self.audience,
            "files": [asdict(f) for f in sorted(self.files, key=lambda f: f.name)],
            "focusVersion": self.version.value,
            "ledger": {"hash": self.ledger_hash, "seq": self.ledger_seq},
            "period": {
                "end": format_instant(self.period.span.to_ms),
                "month": self.period.month,
                "start": format_instant(self.period.span.from_ms),
                "status": "Closed" if self.period.is_closed else "Open",
            },
            "schemaVersion": SCHEMA,
        }
        return json.dumps(fields, sort_keys=True, indent=2, ensure_ascii=True) + "\n"


def names_text(names: Iterable[str]) -> str:
    """Return the text from which `names_in` reads names."""
    return json.dumps({"files": [{"name": name} for name in sorted(names)]}, indent=2) + "\n"


def names_in(text: bytes | None) -> set[str]:
    """Return the files that a stored manifest or list names, none if it can't be read."""
    try:
        return {str(f["name"]) for f in json.loads(text or b"{}").get("files", ())}
    except (ValueError, TypeError, KeyError, AttributeError):
        return set()


def describe(path: Path, *, stem: str, dataset: str, suffix: str, rows: int) -> FileEntry:
    """Return the entry of a finished file; its name carries its content, so that no name ever changes its meaning."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    sha256 = digest.hexdigest()
    return FileEntry(f"{stem}-{sha256[:16]}.{suffix}", dataset, suffix, rows, size, sha256)
