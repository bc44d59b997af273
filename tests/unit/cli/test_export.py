"""`sublet export focus` as a person uses it: files that check out, and refusals in one line."""

import errno
import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sublet.cli.main import app
from sublet.export.focus import run
from sublet.export.focus.audit import audit
from sublet.export.focus.parquet_file import ParquetFile
from tests.builders.lines import execute
from tests.builders.sold_month import database, sold_month


class Program:
    """The command line on a month's ledger, with a folder for files."""

    def __init__(self, folder: Path, month=None):
        self.url, self.out = database(folder, month), folder / "out"

    def run(self, *arguments, month="2026-09", seller="Sublet GmbH"):
        """Return exit status and what was printed."""
        given = ["export", "focus", "--month", month, "--to", self.out, *arguments]
        environment = {"SUBLET_DATABASE_URL": self.url, "SUBLET_EXPORT_SELLER": seller}
        done = CliRunner().invoke(app, [str(a) for a in given], env=environment)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.output.strip()

    def folders(self):
        """Return the folders that a manifest makes whole, without the month's."""
        return sorted(str(p.parent.relative_to(self.out)) for p in self.out.rglob("manifest.json"))


@pytest.fixture
def program(tmp_path):
    return Program(tmp_path)


def test_a_months_files_of_both_sides_check_out(program):
    status, text = program.run()

    assert status == 0
    assert [line.split()[:6] for line in text.splitlines()[1:]] == [
        ["tenant/acme", "2026-09", "Open", "2026-10-01T00:00:00Z", "3", "961"],
        ["tenant/globex", "2026-09", "Open", "2026-10-01T00:00:00Z", "3", "720"],
        ["wholesale", "2026-09", "Open", "2026-10-01T00:00:00Z", "3", "3600"],
    ]
    assert program.folders() == [
        "tenants/acme/2026-09/focus-1.4",
        "tenants/globex/2026-09/focus-1.4",
        "wholesale/2026-09/focus-1.4",
    ]
    assert [fault for name in program.folders() for fault in audit(program.out / name)] == []


def test_rows_may_be_cut_by_the_day_and_be_of_one_side_version_and_format(program):
    done = program.run("--side", "tenants", "--grid", "day", "--version", "1.2", "--format", "csv", "-o", "json")  # fmt: skip

    assert [(x["audience"], x["rows"], x["files"]) for x in json.loads(done[1])] == [
        ("tenant/acme", 41, 1),
        ("tenant/globex", 30, 1),
    ]
    assert {p.suffix for p in program.out.rglob("cost-and-usage-*")} == {".gz"}


def test_of_a_tenant_that_is_named_alone_no_other_and_no_landlord_has_files(program):
    assert program.run("--tenant", "globex")[0] == 0
    assert program.folders() == ["tenants/globex/2026-09/focus-1.4"]


def test_landlords_alone_need_no_seller(program):
    assert program.run("--side", "wholesale", seller="")[0] == 0
    assert program.folders() == ["wholesale/2026-09/focus-1.4"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--month", "2026-13"), "'2026-13' is no month"),
        (("--month", "2999-01"), "is yet to come"),
        (("--tenant", "nobody"), "knows no tenant 'nobody'; known are: acme, globex"),
        (("--month", "2026-08", "--tenant", "acme"), "tenant/acme: nothing was owed in 2026-08"),
        (("--month", "2026-08", "--side", "tenants"), "nothing was owed in 2026-08 or before"),
        (("--to", "gs://bucket/x"), "'gs://bucket/x' is no place for files"),
        (("--to", "s3://bucket", "--endpoint", "s3.example.org"), "is no S3 endpoint: give a URL"),
        (("--to", "/proc/x"), "/proc/x can't be written to"),
        (("--seller", " "), "say who sells to tenants"),
    ],
)
def test_what_cant_be_is_one_line_and_exit_status_1_and_nothing_is_written(program, arguments, says):  # fmt: skip
    status, text = program.run(*arguments)

    assert status == 1
    assert says in text
    assert len(text.splitlines()) == 1
    assert program.folders() == []


def test_a_tenant_without_a_rate_is_said_and_the_others_are_made(tmp_path):
    month = sold_month()
    month.tenant("initech", currency="GBP")
    month.held("claim", "west", 1, "2026-09-05T00:00:00Z", "2026-09-06T00:00:00Z", tenant="initech")
    program = Program(tmp_path, month)

    status, text = program.run()

    assert status == 1
    complaints = [line for line in text.splitlines() if line.startswith("sublet: ")]
    assert len(complaints) == 1
    assert complaints[0].startswith("sublet: tenant/initech: tenant initech is billed in GBP")
    assert len(program.folders()) == 3


def test_a_tenant_that_the_ledger_has_no_terms_of_is_said(tmp_path):
    month = sold_month()
    month.held("claim", "west", 1, "2026-09-05T00:00:00Z", "2026-09-06T00:00:00Z", tenant="gone")

    status, text = Program(tmp_path, month).run("--side", "tenants")

    assert status == 1
    assert "tenant/gone: tenant gone: the ledger has no terms of it" in text


def test_two_tenants_of_one_name_have_folders_of_their_own(tmp_path):
    month = sold_month()
    month.tenant("acme", uid="second-acme")
    month.held("new", "west", 1, "2026-09-20T00:00:00Z", "2026-09-21T00:00:00Z", tenant="second-acme")  # fmt: skip
    program = Program(tmp_path, month)

    assert program.run("--side", "tenants")[0] == 0
    assert program.folders()[:2] == [
        "tenants/acme.second-a/2026-09/focus-1.4",
        "tenants/acme/2026-09/focus-1.4",
    ]
    status, text = program.run("--tenant", "acme")
    assert (status, text) == (
        1,
        "sublet: the ledger knows several tenants 'acme'; give a UID: acme, second-acme",
    )


def test_a_disk_that_fills_is_one_line_and_the_files_before_are_whole(program, monkeypatch):
    program.run()
    before = {p: p.read_bytes() for p in program.out.rglob("*") if p.is_file()}

    class Full(ParquetFile):
        def write(self, table):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setitem(run.FORMATS, "parquet", Full)
    status, text = program.run("--grid", "day")

    assert status == 1
    assert text.endswith("can't be written to: No space left on device")
    assert len(text.splitlines()) == 1
    assert {p: p.read_bytes() for p in program.out.rglob("*") if p.is_file()} == before


def test_of_a_ledger_with_a_gap_nothing_is_written(program):
    execute(program.url, "DELETE FROM entries WHERE seq = 7")

    status, text = program.run()

    assert status == 1
    assert "line 8 of the ledger doesn't follow line 6" in text
    assert program.folders() == []


def test_a_ledger_that_cant_be_read_is_one_line(program):
    program.url = "sqlite:////nowhere/ledger.sqlite"

    status, text = program.run()

    assert (status, len(text.splitlines())) == (1, 1)
    assert "the ledger's store is away" in text
