"""What is made of a database's URL, and what is said of one that can't be read: never a piece of its password."""

import pytest
from hypothesis import example, given, strategies as st

from sublet.store.database import open_engine

UNREADABLE = (
    "SUBLET_DATABASE_URL can't be read: in user and password write %40 for @, %3A for :, %2F for / and %25 for %, "
    "and the port as a number"
)


@given(st.text(alphabet="Se7@:/?#[]&= %", max_size=12))
@example("ss:Secret7@")
@example("ss@Secret7:1")
@example("ss@Secret7/word")
@example("ss@Secret7?word=")
def test_no_part_of_a_password_is_taken_for_something_else_or_said(password: str):
    url = f"postgresql://jo:{password}@db.example/ledger"
    if "@" in password:
        with pytest.raises(ValueError, match="SUBLET_DATABASE_URL") as said:
            open_engine(url)
        assert (str(said.value), said.value.__suppress_context__) == (UNREADABLE, True)
        return

    where = open_engine(url).url
    assert (where.username, where.host, where.port) == ("jo", "db.example", None)
    assert (where.database, dict(where.query)) == ("ledger", {})


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://jo/x:secret@db.example/ledger",
        "postgresql://jo:secret@db.example:port/ledger",
        "postgresql://db.example/ledger?password=se@cret",
        "sqlite://jo:s:port/ledger",
    ],
)
def test_what_the_library_stumbles_over_is_not_said(url: str):
    with pytest.raises(ValueError, match=r"^SUBLET_DATABASE_URL can't be read: ") as said:
        open_engine(url)

    assert str(said.value) == UNREADABLE


@pytest.mark.parametrize(
    ("url", "username", "password"),
    [
        ("postgresql://jo:p%40ss@db.example/ledger", "jo", "p@ss"),
        ("postgresql://jo@corp:p@db.example/ledger", "jo@corp", "p"),
        ("postgresql://db.example/ledger?application_name=a%40b", None, None),
    ],
)
def test_an_at_sign_that_can_be_told_is_read(url: str, username: str | None, password: str | None):
    where = open_engine(url).url

    assert (where.username, where.password, where.host) == (username, password, "db.example")


def test_a_files_name_may_have_an_at_sign():
    assert (
        open_engine("sqlite:////data/a@b/ledger.sqlite").url.database == "/data/a@b/ledger.sqlite"
    )
