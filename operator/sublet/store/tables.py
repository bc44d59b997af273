"""The tables. `entries` is append-only; uniqueness is what keeps a second writer from forking the chain."""

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

entries = Table(
    "entries",
    metadata,
    Column(
        "seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False
    ),
    Column("id", String(64), nullable=False),
    Column("previous_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Column("claim_uid", String(36), nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("tenant_uid", String(36), nullable=False),
    Column("lease_uid", String(36), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("type", String(8), nullable=False),
    Column("gpus", Integer, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("price_hash", String(64), nullable=False),
    Column("tags_hash", String(64), nullable=False),
    Column("source_version", String(64), nullable=False),
    UniqueConstraint("id", name="entries_id"),
    UniqueConstraint("previous_hash", name="entries_previous_hash"),
)
Index("entries_claim", entries.c.claim_uid)

intents = Table(
    "intents",
    metadata,
    Column("claim_uid", String(36), nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("claim_uid", "sequence", name="intents_pk"),
)
"""From when a claim will be billed, written before the hub shows it."""

terms = Table(
    "terms",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("text", Text, nullable=False),
)
"""Prices and tags by content hash."""

identity = Table(
    "identity",
    metadata,
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("ledger_id", String(36), nullable=False),
)
"""One row: which ledger this is, for ever and wherever it is restored."""

cursors = Table(
    "cursors",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("position", BigInteger, nullable=False),
)
"""Up to where the outbox has sent: of entries their seq, of notices their number; and which day was exported last, in milliseconds."""

notices = Table(
    "notices",
    metadata,
    Column(
        "number",
        BigInteger().with_variant(Integer, "sqlite"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("id", String(64), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("subject", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("data", Text, nullable=False),
    UniqueConstraint("id", name="notices_id"),
)
"""What is told beside the ledger's lines; `data` is JSON."""

audit = Table(
    "audit",
    metadata,
    Column(
        "seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False
    ),
    Column("id", String(64), nullable=False),
    Column("previous_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Column("what", String(32), nullable=False),
    Column("who", Text, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("subject_uid", String(36), nullable=False),
    Column("subject", Text, nullable=False),
    Column("lease_uid", String(36), nullable=False),
    Column("lease", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("before", Text, nullable=False),
    Column("after", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    UniqueConstraint("id", name="audit_id"),
    UniqueConstraint("previous_hash", name="audit_previous_hash"),
)
"""Who said or decided what; append-only and chained, as entries are."""
