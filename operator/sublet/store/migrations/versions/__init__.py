"""Alembic migrations of the ledger's schema; applied at start."""
