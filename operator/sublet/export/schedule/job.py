"""What the operator hands to the process that exports, and what comes back: JSON, a line each."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from sublet.api.times import Millis
from sublet.settings import Settings


@dataclass(frozen=True, slots=True)
class Task:
    """Where files go and how they are made: the settings."""

    database: str
    target: str
    endpoint: str
    region: str
    seller: str
    version: str
    formats: tuple[str, ...]
    grid: str
    shows_host: bool

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return what the settings say."""
        return cls(
            database=settings.database_url,
            target=settings.export_target,
            endpoint=settings.export_endpoint,
            region=settings.export_region,
            seller=settings.export_seller,
            version=settings.export_version,
            formats=tuple(settings.export_formats.split(",")),
            grid=settings.export_grid,
            shows_host=settings.export_shows_host,
        )

    @property
    def place(self) -> str:
        """Return a short name of where files go and of which version, which says nothing else."""
        text = f"{self.target}\n{self.endpoint}\n{self.version}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Job:
    """One export: of which state of the ledger, and what of it."""

    as_of_ms: Millis
    seq: int
    """The last line of the ledger that counts."""
    is_daily: bool
    """Open periods are wanted too, not only those that were closed."""
    skip: frozenset[str] = frozenset()
    """What is there already, as `Done.name` has it."""


@dataclass(frozen=True, slots=True)
class Done:
    """One folder that is as it should be."""

    audience: str
    month: str
    is_closed: bool
    rows: Mapping[str, int] = field(default_factory=dict)
    """format -> rows written; empty: it was there before"""

    @property
    def name(self) -> str:
        """Return what tells it from others of its job."""
        return f"{self.audience} {self.month}"


@dataclass(frozen=True, slots=True)
class Fault:
    """What couldn't be done, and why."""

    what: str
    text: str
    is_content: bool = False
    """The ledger itself doesn't say enough: more lines may mend it."""


def write_order(task: Task, job: Job) -> bytes:
    """Return an order as one line."""
    return _line({"task": asdict(task), "job": {**asdict(job), "skip": sorted(job.skip)}})


def read_order(line: bytes) -> tuple[Task, Job]:
    """Return the order that a line says."""
    said = json.loads(line)
    task, job = said["task"], said["job"]
    return (
        Task(**{**task, "formats": tuple(task["formats"])}),
        Job(**{**job, "skip": frozenset(job["skip"])}),
    )


def write_result(result: Done | Fault) -> bytes:
    """Return a result as one line."""
    return _line({type(result).__name__: asdict(result)})


def read_result(line: bytes) -> Done | Fault:
    """Return the result that a line says; ValueError if it is none."""
    kinds: dict[str, type[Done | Fault]] = {"Done": Done, "Fault": Fault}
    try:
        ((kind, fields),) = json.loads(line).items()
        return kinds[kind](**fields)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"no result of an export: {line[:200]!r}") from error


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, default=dict).encode() + b"\n"
