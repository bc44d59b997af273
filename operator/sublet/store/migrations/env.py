"""Alembic's entry: runs the migrations over the connection that `sublet.store.database` hands in."""

from alembic import context

from sublet.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
