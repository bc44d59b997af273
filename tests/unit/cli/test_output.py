from typer.testing import CliRunner

from sublet.cli.choices import Format
from sublet.cli.main import app
from sublet.cli.output import csv_text, show_fields, show_table
from sublet.cli.usage import show_usage


def test_a_table_has_no_lines_and_is_never_cut(capsys):
    show_table(("name", "what"), [("x" * 300, "[bold]a[/bold]"), ("y", None)])

    header, long, short = capsys.readouterr().out.splitlines()
    assert header.split() == ["NAME", "WHAT"]
    assert long == "x" * 300 + "   [bold]a[/bold]"
    assert short == "y"


def test_fields_without_a_value_are_left_out(capsys):
    show_fields({"Claim": "acme/train", "Because": "", "Ends": None, "GPUs": 0})

    assert capsys.readouterr().out == "Claim: acme/train\nGPUs:  0\n"


def test_fields_keep_their_lines_and_drive_no_terminal(capsys):
    show_fields({"Because": "one\ntwo\x1b[2J\rthree"})

    assert capsys.readouterr().out == "Because: one\n         two [2J three\n"


def test_usage_says_more_when_wide(capsys):
    line = {
        "name": "acme/train", "uid": "u-1", "kind": "bound", "gpuMilliseconds": 3_600_000,
        "charge": "3.99", "exactCharge": "3.9900000001", "currency": "USD",
    }  # fmt: skip
    answer = {"by": "claim", "from": "a", "to": "b", "items": [line]}

    show_usage(answer)
    narrow = capsys.readouterr().out
    show_usage(answer, Format.WIDE)
    wide = capsys.readouterr().out

    assert "3.9900000001" not in narrow
    assert wide.splitlines()[2] == narrow.splitlines()[2] + "        u-1   3.9900000001"


def test_usage_as_csv_is_the_wide_table_without_a_title(capsys):
    line = {
        "name": "acme/train", "uid": "u-1", "kind": "bound", "gpuMilliseconds": 3_600_000,
        "charge": "3.99", "exactCharge": "3.9900000001", "currency": "USD",
    }  # fmt: skip
    show_usage({"by": "claim", "from": "a", "to": "b", "items": [line]}, Format.CSV)

    assert capsys.readouterr().out.splitlines() == [
        "claim,kind,gpu-milliseconds,gpu-hours,charge,currency,uid,exact-charge",
        "acme/train,bound,3600000,1.000000,3.99,USD,u-1,3.9900000001",
    ]


def test_csv_quotes_what_needs_it_and_makes_no_formula():
    rows = [('say "so", twice', "-12.50"), ("=1+1", "-x"), (None, 7)]

    assert csv_text(("reason", "amount"), rows).splitlines() == [
        "reason,amount",
        '"say ""so"", twice",-12.50',
        "'=1+1,'-x",
        ",7",
    ]


def test_csv_of_what_is_no_single_table_is_refused_in_words():
    done = CliRunner().invoke(app, ["top", "-o", "csv"])

    assert done.exit_code == 2
    assert "this is no single table; give table, wide, json or yaml" in done.output


def test_cells_of_any_width_stand_below_each_other_and_drive_no_terminal(capsys):
    show_table(("name", "what"), [("漢字", "a"), ("x", "\x1b[2Jb\nc"), ("longer", None)])

    assert capsys.readouterr().out.splitlines() == [
        "NAME     WHAT",
        "漢字     a",
        "x         [2Jb c",
        "longer",
    ]


def test_a_table_without_rows_is_its_head(capsys):
    show_table(("name",), [])

    assert capsys.readouterr().out == "NAME\n"
