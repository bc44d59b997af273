"""One database a test: SQLite, and a real PostgreSQL server that the module's tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from sublet.store.database import open_engine
from tests.harness.postgres import PostgresServer, postgres_server


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.sqlite"
    return emptied(request.getfixturevalue("server"))


def emptied(server: PostgresServer) -> str:
    """Return the URL of a database without anything in it."""
    engine = open_engine(server.url)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return server.url
