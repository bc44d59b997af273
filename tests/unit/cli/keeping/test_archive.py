"""The backup's file: the same hub gives the same bytes, and damage shows."""

import json

import pytest

from sublet.cli.keeping.archive import Archive, Position, from_text, kept, to_text
from sublet.cli.problems import Problem
from tests.builders.api import NOW, as_claim, as_lease, claim, lease
from tests.builders.restored import on_the_wire

CLAIMS = [on_the_wire(as_claim(claim(name))) for name in ("a", "b")]
LEASE = on_the_wire(as_lease(lease()), "GpuLease")


def archive(*objects) -> Archive:
    ledger = Position(7, "f" * 64)
    return Archive("hub", NOW, ledger, (), tuple(kept(o) for o in objects))


def test_the_order_in_which_objects_come_makes_no_difference():
    assert to_text(archive(*CLAIMS, LEASE)) == to_text(archive(LEASE, *reversed(CLAIMS)))


def test_what_was_written_is_read_again():
    found = from_text(to_text(archive(*CLAIMS, LEASE)))

    assert [o["kind"] for o in found.objects] == ["GpuLease", "GpuClaim", "GpuClaim"]
    assert (found.ledger, found.taken_ms) == (Position(7, "f" * 64), NOW)


def test_what_the_api_server_keeps_for_itself_is_left_out():
    body = {**CLAIMS[0], "metadata": {**CLAIMS[0]["metadata"], "managedFields": [{}], "resourceVersion": "5"}}  # fmt: skip

    assert {"managedFields", "resourceVersion"}.isdisjoint(kept(body)["metadata"])


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda text: text[:-40], "cut off"),
        (lambda text: text.replace('"gpus": 8', '"gpus": 80', 1), "changed or damaged"),
        (lambda text: text.replace("backup/1", "backup/2"), "of format sublet-backup/2"),
        (lambda _: json.dumps({"kind": "List"}), "no backup that"),
        (lambda _: "kind: List", "not JSON"),
    ],
)
def test_a_file_that_isnt_whole_is_refused(damage, words: str):
    with pytest.raises(Problem, match=words):
        from_text(damage(to_text(archive(*CLAIMS))))
