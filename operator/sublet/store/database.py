"""Opening the ledger's database: engine, durability, migrations.

SQLite runs with a write-ahead log and full synchronisation: what was committed survives a power cut. An unknown,
newer schema is refused rather than guessed at.
"""

from importlib.resources import as_file, files
from typing import Any, Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import ArgumentError

from sublet.ledger.port import LedgerUnavailable

_BUSY_MS = 10_000
_POSTGRES: Final[dict[str, Any]] = {
    "connect_timeout": 5,  # seconds
    "tcp_user_timeout": 10_000,  # milliseconds: a server that went dark is away, not slow
    "options": "-c statement_timeout=30000 -c lock_timeout=10000",
}
"""A store that hangs must not hold up whatever waits for it for ever."""


def open_engine(url: str) -> Engine:
    """Return an engine for a database URL; ValueError with what to do if the URL is none."""
    if url.startswith("postgresql://"):
        url = url.replace("postgresql://", "postgresql+psycopg://", 1)
    try:
        options = _POSTGRES if url.startswith("postgresql") else {}
        engine = create_engine(url, pool_pre_ping=True, connect_args=options)
    except (ArgumentError, ImportError) as error:
        raise ValueError("SUBLET_DATABASE_URL must be sqlite:///FILE or postgresql://…") from error
    if engine.dialect.name not in ("sqlite", "postgresql"):
        raise ValueError(
            f"{engine.dialect.name} isn't supported; use sqlite:///FILE or postgresql://…"
        )
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _make_durable)
    return engine


def migrate(engine: Engine) -> None:
    """Bring the schema up to this version; LedgerUnavailable if it is newer than this program knows."""
    with (
        as_file(files("sublet.store").joinpath("migrations")) as folder,
        engine.begin() as connection,
    ):
        config = Config()
        config.set_main_option("script_location", str(folder))
        config.attributes["connection"] = connection
        known = {r.revision for r in ScriptDirectory.from_config(config).walk_revisions()}
        current = MigrationContext.configure(connection).get_current_revision()
        if current is not None and current not in known:
            raise LedgerUnavailable(
                f"the ledger's schema {current} is newer than this program; run the newer version"
            )
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql(
                "SELECT pg_advisory_xact_lock(7349001)"
            )  # one migrator at a time
        command.upgrade(config, "head")


def _make_durable(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        f"busy_timeout={_BUSY_MS}",
        "foreign_keys=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
