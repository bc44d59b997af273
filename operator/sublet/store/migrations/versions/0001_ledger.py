"""The ledger's first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make entries, intents and terms."""
    op.create_table(
        "entries",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("previous_hash", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("claim_uid", sa.String(36), nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("tenant_uid", sa.String(36), nullable=False),
        sa.Column("lease_uid", sa.String(36), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("type", sa.String(8), nullable=False),
        sa.Column("gpus", sa.Integer, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("price_hash", sa.String(64), nullable=False),
        sa.Column("tags_hash", sa.String(64), nullable=False),
        sa.Column("source_version", sa.String(64), nullable=False),
        sa.UniqueConstraint("id", name="entries_id"),
        sa.UniqueConstraint("previous_hash", name="entries_previous_hash"),
    )
    op.create_index("entries_claim", "entries", ["claim_uid"])
    op.create_table(
        "intents",
        sa.Column("claim_uid", sa.String(36), nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("claim_uid", "sequence", name="intents_pk"),
    )
    op.create_table(
        "terms",
        sa.Column("hash", sa.String(64), primary_key=True),
        sa.Column("text", sa.Text, nullable=False),
    )
