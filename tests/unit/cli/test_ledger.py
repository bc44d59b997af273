"""`sublet ledger` as a person uses it, on a database and on the operator's endpoint."""

import asyncio
import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestServer
from typer.testing import CliRunner

from sublet.api.times import Millis
from sublet.cli.ledger_source import AdminSource, AuditQuery, DatabaseSource
from sublet.cli.main import app
from sublet.ledger.audit import AuditRecord
from sublet.serve.admin import Admin
from sublet.store.sql import SqlLedger
from sublet.store.trail import SqlTrail
from tests.builders.lines import TEXTS, execute, fact, record
from tests.harness.fake_api import SteppedClock
from tests.harness.small_hub import failure


class Program:
    """The command line on one ledger."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"sqlite:///{folder}/ledger.sqlite"
        asyncio.run(filled(self.url))

    def run(self, *arguments: Any, url: str | None = None) -> tuple[int, str]:
        """Return exit status and what was printed."""
        done = CliRunner().invoke(
            app, ["ledger", *map(str, arguments)], env={"SUBLET_DATABASE_URL": url or self.url}
        )
        return done.exit_code, done.output.strip()


async def filled(url: str) -> None:
    ledger = SqlLedger(url)
    await ledger.append([fact("a"), fact("b"), fact("c")], TEXTS)
    await SqlTrail(ledger).record([record("one", 5), record("two", 9)])
    await ledger.close()


async def recorded(url: str, said: AuditRecord) -> None:
    ledger = SqlLedger(url)
    await SqlTrail(ledger).record([said])
    await ledger.close()


async def emptied(url: str) -> None:
    ledger = SqlLedger(url)
    await ledger.start()
    await ledger.close()


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path)


def test_a_whole_ledger_is_said_with_its_head(program: Program):
    status, text = program.run("verify")
    _, head = program.run("head")

    assert (status, text) == (0, f"3 lines and 2 audit records are whole; head {head}")
    assert program.run("verify", "--head", head)[0] == 0


def test_the_database_that_is_named_counts_before_the_settings(program: Program, tmp_path: Path):
    none = f"sqlite:///{tmp_path}/none.sqlite"

    assert program.run("verify", "--database", program.url, url=none)[0] == 0
    assert program.run("verify", "--database", none)[0] == 2


def test_the_first_fault_is_named_with_its_line(program: Program):
    execute(program.url, "UPDATE entries SET gpus = 1 WHERE seq = 2")

    status, text = program.run("verify")

    assert (status, text) == (1, "line 2 was changed: its hash is not that of its content")


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        ("DELETE FROM entries WHERE seq = 2", "line 2 is missing (found 3)"),
        ("UPDATE terms SET text = '[]'", "line 1: the text of hash"),
        ("DELETE FROM terms", "line 1: there is no text of hash"),
        ("UPDATE audit SET who = 'nobody' WHERE seq = 1", "audit line 1 was changed"),
        ("DELETE FROM audit WHERE seq = 1", "audit line 1 is missing"),
        ("UPDATE entries SET kind = 'x' WHERE seq = 2", "line 2 is no line that this version of"),
    ],
)
def test_whatever_was_done_to_it_is_found(program: Program, damage: str, says: str):
    execute(program.url, damage)

    status, text = program.run("verify")

    assert status == 1
    assert text.startswith(says)


def test_lines_that_were_cut_off_the_end_are_found_by_a_head_that_was_published(program: Program):
    _, head = program.run("head")
    execute(program.url, "DELETE FROM entries WHERE seq = 3")

    assert program.run("verify")[0] == 0
    assert program.run("verify", "--head", head) == (
        1,
        "line 3 isn't the one that was published",
    )


def test_a_ledger_that_cant_be_read_is_one_line_and_exit_status_2(program: Program):
    status, text = program.run("verify", url=f"sqlite:///{program.folder}/none.sqlite")

    assert status == 2
    assert text == "sublet: the ledger's store is away: unable to open database file"


@pytest.mark.parametrize("command", ["verify", "head", "show", "audit"])
@pytest.mark.parametrize(("status", "says"), [(401, "doesn't accept your credentials"), (403, "refuses: no")])  # fmt: skip
def test_a_hub_that_refuses_is_no_broken_ledger(person, hub, command: str, status: int, says: str):
    hub._read = lambda *_: failure(status, "No", "no")

    ended, out, err = person.run("ledger", command)

    assert (ended, out, len(err.splitlines())) == (2, "", 1)
    assert says in err


@pytest.mark.parametrize("command", ["verify", "head", "show", "audit"])
def test_a_hub_that_doesnt_answer_is_no_broken_ledger(person, command: str):
    person.leads_to("http://127.0.0.1:9")

    status, out, err = person.run("ledger", command)

    assert (status, out, len(err.splitlines())) == (2, "", 1)
    assert "the hub doesn't answer" in err


def test_a_line_that_no_database_can_count_isnt_there(program: Program):
    line = 10**20

    assert program.run("verify", "--head", f"{line}:ab") == (
        1,
        f"line {line} isn't the one that was published",
    )
    assert program.run("show", "--from", line, "--count", line, "-o", "json") == (0, "[]")
    assert len(json.loads(program.run("show", "--count", line, "-o", "json")[1])) == 3


def test_an_instant_that_is_none_is_one_line_with_an_example(program: Program):
    status, text = program.run("audit", "--since", "yesterday")

    assert (status, len(text.splitlines())) == (2, 1)
    assert text.startswith("sublet: --since: ")


def test_of_a_database_url_that_cant_be_read_no_part_is_said(program: Program):
    status, text = program.run("head", url="postgresql://u:p@ss:Secret7@db.example/ledger")

    assert (status, len(text.splitlines())) == (2, 1)
    assert "SUBLET_DATABASE_URL can't be read" in text
    assert "Secret7" not in text


def test_a_file_that_is_no_database_says_what_to_do(program: Program):
    (program.folder / "ledger.sqlite").write_bytes(b"no database at all" * 1_000)

    status, text = program.run("verify")

    assert status == 2
    assert "its file is damaged: stop the operator" in text
    assert "sublet ledger restore" in text


def test_lines_are_shown_as_they_stand(program: Program):
    _, table = program.run("show", "--count", "2")
    _, data = program.run("show", "--from", "1", "--count", "1", "-o", "json")

    assert [row.split()[0] for row in table.splitlines()] == ["LINE", "2", "3"]
    assert [x["claim_uid"] for x in json.loads(data)] == ["a"]


def test_lines_and_records_are_rows_of_a_spreadsheet_too(program: Program):
    _, lines = program.run("show", "--count", "1", "-o", "csv")
    _, records = program.run("audit", "-o", "csv")
    _, data = program.run("show", "--count", "1", "-o", "json")

    (line,), (one, two) = (list(csv.DictReader(io.StringIO(x))) for x in (lines, records))
    assert (line["line"], line["subject"], line["id"]) == ("3", "c", json.loads(data)[0]["id"])
    assert [one["at"], two["at"]] == ["1970-01-01T00:00:00.005Z", "1970-01-01T00:00:00.009Z"]


def test_the_head_of_an_empty_ledger_is_one_that_every_ledger_begins_with(program: Program):
    empty = f"sqlite:///{program.folder}/empty.sqlite"
    asyncio.run(emptied(empty))
    _, head = program.run("head", url=empty)

    assert program.run("verify", "--head", head)[0] == 0
    assert program.run("verify", "--head", "0:ab")[0] == 1


def test_the_audit_trail_is_shown_from_an_instant_on(program: Program):
    _, table = program.run("audit", "--claim", "acme/train")
    _, data = program.run("audit", "--since", "1970-01-01T00:00:00.007Z", "-o", "json")

    assert len(table.splitlines()) == 3
    assert [x["key"] for x in json.loads(data)] == ["two"]


def test_the_audit_trail_names_by_its_uid_what_has_no_name(program: Program):
    asyncio.run(recorded(program.url, replace(record("three"), kind="GpuTenant", subject="")))
    _, table = program.run("audit")
    _, rows = program.run("audit", "-o", "csv")

    assert table.splitlines()[-1].split()[:4] == ["1970-01-01T00:00:00.005Z", "bind", "sublet", "uid"]  # fmt: skip
    first, *_, last = csv.DictReader(io.StringIO(rows))
    assert (first["subject"], first["kind"], first["subject uid"]) == ("acme/train", "GpuClaim", "uid")  # fmt: skip
    assert (last["subject"], last["kind"], last["subject uid"]) == ("uid", "GpuTenant", "uid")


def test_a_backup_is_restored_into_an_empty_database(program: Program):
    _, head = program.run("head")
    file = program.folder / "ledger.backup"
    other = f"sqlite:///{program.folder}/other.sqlite"

    assert program.run("backup", file) == (0, f"3 lines saved in {file}; head {head}")
    assert program.run("restore", file, url=other) == (
        0,
        f"3 lines added; the ledger is whole; head {head}",
    )
    assert program.run("head", url=other) == (0, head)


def test_a_file_that_is_no_backup_is_one_line(program: Program):
    (program.folder / "file").write_text("hello")

    status, text = program.run("restore", program.folder / "file")

    assert status == 1
    assert text.endswith("it is no backup that `sublet ledger backup` wrote")
    assert len(text.splitlines()) == 1


async def test_the_operators_endpoint_shows_what_the_database_has(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/ledger.sqlite"
    await filled(url)
    ledger = SqlLedger(url)
    admin = Admin(None, ledger, None, SteppedClock(), last_pass=None)
    there = DatabaseSource(ledger)
    async with TestServer(admin.app()) as server:
        source = AdminSource(str(server.make_url("/")))

        assert await source.verify() == await there.verify()
        assert await source.position(2) == await there.position(2)
        assert await source.lines(1, 10) == await there.lines(1, 10)
        for query in (AuditQuery(), AuditQuery(lease="west", since_ms=Millis(7))):
            assert await source.audit(query) == await there.audit(query)
    await ledger.close()
