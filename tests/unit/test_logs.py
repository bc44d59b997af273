"""A field of the log means the same in every line: names and UIDs can't be mixed, and each field is written down."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from structlog.testing import capture_logs

from sublet.api.ids import ClaimUID, ClusterUID
from sublet.api.kinds import ALL_KINDS
from sublet.logs import FIELDS, SUBJECTS, log_about, log_about_object
from tests.builders.api import as_claim, as_lease, lease
from tests.planes.binaries import ROOT

_METHODS = {"debug", "info", "warning", "error", "exception", "critical", "bind"}
_OF_STRUCTLOG = {"event", "level", "timestamp", "logger", "exception"}


class Call(NamedTuple):
    """A call of a logger: where it stands, and the fields that it sets."""

    where: str
    fields: tuple[str | None, ...]


def log_calls() -> Iterator[Call]:
    """Yield every call of a logger in the operator, but those of the module that owns the words."""
    for path in sorted((ROOT / "operator" / "sublet").rglob("*.py")):
        if path.name != "logs.py":
            yield from _calls_in(path)


def _calls_in(path: Path) -> Iterator[Call]:
    for each in ast.walk(ast.parse(path.read_text())):
        if isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute):
            whose = ast.unparse(each.func.value)
            if each.func.attr in _METHODS and (
                "structlog" in whose or "log" in whose.split("(")[0]
            ):
                where = f"{path.relative_to(ROOT)}:{each.lineno}"
                yield Call(where, tuple(k.arg for k in each.keywords if k.arg != "exc_info"))


CALLS = tuple(log_calls())


def test_every_field_that_is_logged_is_written_down():
    strange = [(c.where, f) for c in CALLS for f in c.fields if f not in FIELDS]

    assert len(CALLS) > 50
    assert strange == []


def test_every_field_that_is_written_down_is_logged():
    used = {f for c in CALLS for f in c.fields}

    assert FIELDS.keys() - used - SUBJECTS.keys() - _OF_STRUCTLOG == set()


def test_what_a_line_is_about_comes_from_the_two_functions_alone():
    assert [c for c in CALLS if SUBJECTS.keys() & {*c.fields}] == []


def test_a_claim_and_a_lease_bring_their_names_and_their_uids():
    train, west = as_claim(), as_lease()

    with capture_logs() as lines:
        log_about(claim=train, lease=west).info("something")

    assert lines == [
        {
            "claim": train.metadata.key,
            "claim_uid": train.metadata.uid,
            "lease": "west",
            "lease_uid": west.metadata.uid,
            "event": "something",
            "log_level": "info",
        }
    ]


def test_a_claim_that_isnt_at_hand_has_its_uid_alone():
    with capture_logs() as lines:
        log_about(claim_uid=ClaimUID("u-1")).info("something")

    assert lines == [{"claim_uid": "u-1", "event": "something", "log_level": "info"}]


def test_a_cluster_brings_the_names_of_its_leases():
    west, east = as_lease(), as_lease(lease("east"))
    with capture_logs() as lines:
        log_about(cluster_uid=ClusterUID("c-1"), leases=[west, east]).info("some")

    assert (lines[0]["cluster_uid"], lines[0]["leases"]) == ("c-1", ["east", "west"])


def test_an_object_of_each_kind_has_its_own_field():
    with capture_logs() as lines:
        for kind in ALL_KINDS:
            log_about_object(kind.name, "some").info("something")

    found = [set(x) - {"event", "log_level"} for x in lines]
    assert found == [{"lease"}, {"class"}, {"tenant"}, {"claim"}, {"statement"}]


PROGRAM = """
import logging, structlog, sys
from sublet.logs import configure_logs
configure_logs(sys.argv[1])
structlog.get_logger().info("ours")
log = logging.getLogger("aiohttp.server")
log.info("too little")
token = "se" + "cret"
try:
    raise KeyError("x")
except KeyError:
    log.exception("Error handling request from %s", "somewhere")
"""


def said(form: str) -> list[str]:
    """Return what a program says on standard error that logs something of its own and of a library's."""
    command = [sys.executable, "-c", PROGRAM, form]
    return subprocess.run(command, capture_output=True, check=True, text=True).stderr.splitlines()


def test_other_libraries_say_json_too_a_line_each_with_their_tracebacks():
    ours, theirs = map(json.loads, said("json"))

    assert {**ours, "timestamp": ""} == {"event": "ours", "level": "info", "timestamp": ""}
    assert (theirs["event"], theirs["level"], theirs["logger"]) == (
        "Error handling request from somewhere", "error", "aiohttp.server",
    )  # fmt: skip
    assert theirs["exception"].endswith("KeyError: 'x'")
    assert theirs.keys() <= FIELDS.keys()


def test_a_traceback_on_a_terminal_shows_no_variables():
    lines = said("console")

    assert lines[-1] == "KeyError: 'x'"
    assert "secret" not in str(lines)
    assert "Warning" not in str(lines)
