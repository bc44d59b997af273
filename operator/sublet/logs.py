"""How the operator logs, and the words of its log: JSON in a cluster, coloured lines on a terminal.

Who wants to know all about one claim or one lease filters by a field, so a field means the same in every line. Names
and UIDs get into a line by `log_about` and `log_about_object` alone, which take them from objects and from the types of
`sublet.api.ids`: a name can't stand where a UID is looked for. A test holds every log call to `FIELDS`.
"""

import logging
import sys
from collections.abc import Iterable
from types import MappingProxyType
from typing import Any, Final

import structlog

from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.ids import ClaimUID, ClusterUID
from sublet.api.kinds import CLAIMS, CLASSES, LEASES, STATEMENTS, TENANTS

SUBJECTS: Final = MappingProxyType(
    {
        "claim": "Claim, as `namespace/name`.",
        "claim_uid": "UID of the claim; alone where the claim itself isn't at hand.",
        "lease": "Name of the lease.",
        "lease_uid": "UID of the lease.",
        "leases": "Names of the leases of one cluster.",
        "cluster_uid": "UID of the leased cluster, as `status.clusterUID` of its leases says it.",
        "tenant": "Name of the tenant.",
        "class": "Name of the class.",
        "statement": "Statement, as `namespace/name`.",
    }
)
"""What a line is about; set by `log_about` and `log_about_object` alone."""

FIELDS: Final = MappingProxyType(
    {
        "event": "What happened, in the same words each time.",
        "level": "`info`, `warning`, `error`; `debug` isn't written.",
        "timestamp": "When, in UTC.",
        **SUBJECTS,
        "error": "Why something failed, or what stands in its way.",
        "reason": "Why a step of a claim waits, or which Event a line is about.",
        "logger": "Which library says it, in its own words; lines of the operator's own have none.",
        "exception": "Traceback of a fault that nothing in the program expects: report it.",
        "claim_uids": "UIDs of several claims.",
        "node": "Name of the node in the leased cluster.",
        "gpus": "How many GPUs.",
        "word_of": "Who gave the word on which something was cleaned.",
        "month": "Billing period.",
        "what": "What is waited for, or what the ledger was to be read for.",
        "waiting": "How many lines of the ledger wait.",
        "line": "Which line of the ledger.",
        "there": "What that line says.",
        "wanted": "What the operator would write of the same happening.",
        "mark": "Text of the line that was lost.",
        "entries": "How many exchange rates.",
        "directory": "Directory of the operator's own files.",
        "sink": "Where events of the ledger are sent.",
        "stream": "Which of the streams of events.",
        "unexported": "How many lines of the ledger and notices wait to be sent.",
        "path": "Path at an API server that is watched.",
        "identity": "Who the operator is in the Lease by which one leads.",
        "listener": "Which of the operator's own servers.",
        "host": "Address at which it listens.",
        "port": "Port at which it listens.",
    }
)
"""Every field that a line of the log may have, with what it means."""

_FIELD_OF: Final = MappingProxyType(
    {
        CLAIMS.name: "claim",
        LEASES.name: "lease",
        TENANTS.name: "tenant",
        CLASSES.name: "class",
        STATEMENTS.name: "statement",
    }
)


def configure_logs(form: str) -> None:
    """Log JSON in a cluster and coloured lines on a terminal; other libraries' logs alike, from warnings on."""
    console = form == "console" or (form == "auto" and sys.stderr.isatty())
    timestamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    ending: list[Any] = [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(),
    ]
    if console:
        # plain: the stock traceback shows variables, in which secrets may be
        plain = structlog.dev.plain_traceback
        ending = [structlog.dev.ConsoleRenderer(exception_formatter=plain)]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            timestamp,
            *ending,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    theirs = logging.StreamHandler(sys.stderr)
    theirs.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                timestamp,
            ],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[theirs])


def log_about(
    *,
    claim: GpuClaim | None = None,
    lease: GpuLease | None = None,
    leases: Iterable[GpuLease] = (),
    claim_uid: ClaimUID | None = None,
    cluster_uid: ClusterUID | None = None,
) -> Any:
    """Return the log of a claim, a lease, or both.

    `claim_uid` is for where the claim itself isn't at hand; one that is brings its own.
    """
    fields = {
        "claim": claim.metadata.key if claim is not None else None,
        "claim_uid": claim.metadata.uid if claim is not None else claim_uid,
        "lease": lease.metadata.name if lease is not None else None,
        "lease_uid": lease.metadata.uid if lease is not None else None,
        "leases": sorted(x.metadata.name for x in leases),
        "cluster_uid": cluster_uid,
    }
    return structlog.get_logger().bind(**{k: v for k, v in fields.items() if v})


def log_about_object(kind: str, key: str) -> Any:
    """Return the log of an object of one of our kinds, which its key names: `namespace/name`, or the name alone."""
    return structlog.get_logger().bind(**{_FIELD_OF[kind]: key})
