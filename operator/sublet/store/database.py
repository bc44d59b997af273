"""Opening the ledger's database: engine, durability, migrations.

SQLite runs with a write-ahead log and full synchronisation: what was committed survives a power cut. An unknown,
newer schema is refused rather than guessed at.
"""

import re
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Engine, ExceptionContext, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from sublet.ledger.port import LedgerUnavailable

_BUSY_MS = 10_000
_WAL_PAGES: Final = 8_000
"""Of 4 KiB, after which the write-ahead log is written back."""
_CACHE_KIB: Final = 65_536
"""At most, and only as much as was read."""
_UNREADABLE: Final = (
    "SUBLET_DATABASE_URL can't be read: in user and password write %40 for @, %3A for :, %2F for / and %25 for %, "
    "and the port as a number"
)
_CREDENTIAL: Final = re.compile(r"^[\w+]+://[^:/]*(:[^@]*)?@")
"""As the library takes it: a password goes up to the first @."""
_POSTGRES: Final[dict[str, Any]] = {
    "connect_timeout": 5,  # seconds
    "tcp_user_timeout": 10_000,  # milliseconds: a server that went dark is away, not slow
    "options": "-c statement_timeout=30000 -c lock_timeout=10000",
}
"""A store that hangs must not hold up whatever waits for it for ever."""
_NO_WRITES: Final = "25006"
"""SQLSTATE: read_only_sql_transaction"""


def open_engine(url: str, *, read_only: bool = False) -> Engine:
    """Return an engine for a database URL; ValueError with what to do if the URL is none.

    With `read_only` the database itself refuses every write, and a SQLite file that isn't there is not made.
    """
    if url.startswith("postgresql://"):
        url = url.replace("postgresql://", "postgresql+psycopg://", 1)
    try:
        where = _never_made(_parsed(url)) if read_only else _parsed(url)
        options = _connect_args(where, read_only=read_only)
        engine = create_engine(where, pool_pre_ping=True, connect_args=options)
    except (ArgumentError, ImportError) as error:
        raise ValueError("SUBLET_DATABASE_URL must be sqlite:///FILE or postgresql://…") from error
    except ValueError:
        # the library quotes what it stumbled over, which may be a part of the password
        raise ValueError(_UNREADABLE) from None
    if engine.dialect.name not in ("sqlite", "postgresql"):
        raise ValueError(
            f"{engine.dialect.name} isn't supported; use sqlite:///FILE or postgresql://…"
        )
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _read_only if read_only else _make_durable)
    elif not read_only:
        event.listen(engine, "handle_error", _leave_read_only)
    return engine


def _parsed(url: str) -> URL:
    """Return a URL in its parts; ValueError if a part of the credential may have been taken for host, name or options."""
    rest = _CREDENTIAL.sub("", url)
    if url.startswith("postgresql") and "@" in rest:
        raise ValueError("a second @")
    return make_url(url)


def _never_made(url: URL) -> URL:
    """Return a SQLite URL that opens its file for reading, and makes none."""
    if url.get_backend_name() != "sqlite" or not url.database:
        return url
    path = quote(str(Path(url.database).absolute()))
    return url.set(database=f"file:{path}", query={"mode": "ro", "uri": "true"})


def _connect_args(url: URL, *, read_only: bool) -> dict[str, Any]:
    if url.get_backend_name() != "postgresql":
        return {}
    options = f"{_POSTGRES['options']} -c default_transaction_read_only=on"
    return _POSTGRES | ({"options": options} if read_only else {})


def check_schema(engine: Engine) -> None:
    """Look whether the schema is this version's, and change nothing; LedgerUnavailable if it isn't."""
    with (
        as_file(files("sublet.store").joinpath("migrations")) as folder,
        engine.begin() as connection,
    ):
        config = Config()
        config.set_main_option("script_location", str(folder))
        wanted = ScriptDirectory.from_config(config).get_current_head()
        found = MigrationContext.configure(connection).get_current_revision()
    if found is None:
        raise LedgerUnavailable("there is no ledger in this database; check the URL")
    if found != wanted:
        raise LedgerUnavailable(
            f"the ledger's schema is {found}, this program's is {wanted}; run the operator's version"
        )


def migrate(engine: Engine) -> None:
    """Bring the schema up to this version, whole or not at all; LedgerUnavailable if it is newer than this program knows."""
    with (
        as_file(files("sublet.store").joinpath("migrations")) as folder,
        engine.begin() as connection,
    ):
        if engine.dialect.name == "sqlite":
            # the driver begins no transaction for tables: each would stay if this broke off before the schema's number
            connection.exec_driver_sql("BEGIN IMMEDIATE")
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


def _read_only(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in ("query_only=ON", f"busy_timeout={_BUSY_MS}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _leave_read_only(context: ExceptionContext) -> None:
    """Have all connections opened anew once a server takes no writes: it may not be the one that leads any more.

    A connection to a server that became a standby stays open, and a test of it, which is a read, passes.
    """
    if getattr(context.original_exception, "sqlstate", None) == _NO_WRITES:
        context.is_disconnect = True


def _make_durable(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        # ids and hashes are random: pages are written together once in a while, not at each thousandth
        f"wal_autocheckpoint={_WAL_PAGES}",
        f"cache_size=-{_CACHE_KIB}",
        f"busy_timeout={_BUSY_MS}",
        "foreign_keys=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
