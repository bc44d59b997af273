"""`sublet replay` as a person sees it."""

import json
import sys
from pathlib import Path

import pytest

from sublet.book.plan import plan
from sublet.cli.main import main
from sublet.record.passes import Recorded, lines_of, read_pass, write_pass
from tests.builders.api import as_claim, as_lease
from tests.builders.fleet import inventory, nodes, view

WEST = as_lease()
SEEN = view([as_claim()], [(WEST, inventory(WEST, nodes(WEST, 2)))])
LINES = lines_of(plan(SEEN))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "pass.json"
    path.write_text(write_pass(Recorded(SEEN, LINES)) + "\n")
    return path


def sublet(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["sublet", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_replay_prints_the_bytes_that_were_recorded(file, monkeypatch, capfd):
    assert sublet(monkeypatch, "replay", str(file)) == 0
    assert capfd.readouterr() == ("".join(f"{line}\n" for line in LINES), "")


def test_check_says_that_all_is_as_it_was(file, monkeypatch, capfd):
    assert sublet(monkeypatch, "replay", str(file), "--check") == 0
    assert capfd.readouterr() == ("2 lines, as they were recorded\n", "")


def test_check_shows_the_first_line_that_differs(file, monkeypatch, capfd):
    raw = json.loads(file.read_text())
    raw["plan"][0]["sequence"] = 7
    file.write_text(json.dumps(raw))

    assert sublet(monkeypatch, "replay", str(file), "--check") == 1
    out, err = capfd.readouterr()
    before, after = out.splitlines()
    assert before == "- " + LINES[0].replace('"sequence":1', '"sequence":7')
    assert after == f"+ {LINES[0]}"
    assert err == (
        "sublet: line 1 isn't as it was recorded; recorded by version 0.1.0, replayed by 0.1.0\n"
    )


def test_check_shows_a_line_that_isnt_there_any_more(file, monkeypatch, capfd):
    raw = json.loads(file.read_text())
    raw["plan"].append({"kind": "Take"})
    file.write_text(json.dumps(raw))

    assert sublet(monkeypatch, "replay", str(file), "--check") == 1
    assert capfd.readouterr().out == '- {"kind":"Take"}\n'


@pytest.mark.parametrize("more", [[], ["--price-ratios"]])
def test_a_redacted_record_is_a_record(file, monkeypatch, capfd, more):
    assert sublet(monkeypatch, "replay", str(file), "--redact", *more) == 0
    out, _ = capfd.readouterr()

    assert read_pass(out).redacted
    assert "acme" not in out
    file.write_text(out)
    assert sublet(monkeypatch, "replay", str(file), "--check") == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not JSON, or cut off: Expecting value at line 1 column 1 of 0 characters"),
        (b"\xff", "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
        (b'{"sublet":"pass/v9"}', "recorded as 'pass/v9'; this program reads pass/v1"),
    ],
)
def test_a_bad_file_is_one_line(file, monkeypatch, capfd, content, said):
    file.write_bytes(content)

    assert sublet(monkeypatch, "replay", str(file)) == 1
    assert capfd.readouterr() == ("", f"sublet: {file}: {said}\n")


def test_a_file_that_isnt_there_is_one_line(monkeypatch, capfd):
    assert sublet(monkeypatch, "replay", "/nowhere") == 1
    assert capfd.readouterr().err.startswith("sublet: /nowhere: ")
