"""Records are exact: what is written is read back as it was, and decides the same, byte for byte."""

import os
import subprocess
import sys
from pathlib import Path

from hypothesis import given, settings

from sublet.book.plan import plan
from sublet.book.view import View
from sublet.record.passes import Recorded, lines_of, read_pass, replay, write_pass
from tests.builders.api import as_claim, as_lease
from tests.builders.fleet import after, inventory, nodes, view
from tests.builders.passes import views
from tests.planes.binaries import ROOT


def recorded(seen: View) -> Recorded:
    return Recorded(seen, lines_of(plan(seen)))


@settings(max_examples=60, deadline=None)
@given(views())
def test_a_record_is_read_back_as_it_was(seen: View):
    whole = recorded(seen)
    again = read_pass(write_pass(whole))

    assert again == whole
    assert write_pass(again) == write_pass(whole)


@settings(max_examples=60, deadline=None)
@given(views())
def test_a_replay_is_the_same_byte_for_byte(seen: View):
    whole = recorded(seen)

    assert replay(read_pass(write_pass(whole))) == whole.lines


def test_what_the_operator_assumes_is_read_back_too():
    west = as_lease()
    seen = view([as_claim()], [(west, inventory(west, nodes(west, 2)))])
    later = after(seen, plan(seen))

    assert read_pass(write_pass(recorded(later))).view == later


def test_a_mapping_keeps_its_order():
    fleet = [
        (each, inventory(each, nodes(each, 2))) for each in (as_lease(), as_lease(None, uid="a"))
    ]
    seen = view([], fleet, priorities={"z": 1, "a": 2})
    again = read_pass(write_pass(recorded(seen))).view

    assert list(again.priorities) == ["z", "a"]
    assert list(again.inventories) == list(seen.inventories)


def test_the_last_line_says_when_to_look_again():
    west = as_lease()
    seen = view([as_claim()], [(west, inventory(west, nodes(west, 2)))])

    *decisions, last = recorded(seen).lines

    assert [line.startswith('{"kind":"Reserve",') for line in decisions] == [True]
    assert last.startswith('{"kind":"Plan","next_due_ms":')


def test_pythons_hash_seed_changes_nothing(tmp_path: Path):
    west, east = as_lease(), as_lease(None, name="east", uid="e")
    fleet = [
        (each, inventory(each, nodes(each, 3, zones=("a", "b", "c")))) for each in (west, east)
    ]
    whole = recorded(view([as_claim(), as_claim(None, name="two", uid="2")], fleet))
    file = tmp_path / "pass.json"
    file.write_text(write_pass(whole))
    program = "from sublet.cli import main; main()"

    def replayed(seed: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT / "operator")}
        command = [sys.executable, "-c", program, "replay", str(file)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    expected = "".join(f"{line}\n" for line in whole.lines)
    assert [replayed(seed) for seed in ("0", "1", "4242")] == [expected] * 3
