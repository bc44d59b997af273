"""Files that somebody wrote by hand or that were cut off: one line that says what and where."""

import json
from typing import Any

import pytest

from sublet.book.plan import plan
from sublet.record.codec import RecordError
from sublet.record.passes import Recorded, lines_of, read_pass, write_pass
from tests.builders.api import as_claim, as_lease
from tests.builders.fleet import inventory, nodes, view

WEST = as_lease()
SEEN = view([as_claim()], [(WEST, inventory(WEST, nodes(WEST, 2)))])
TEXT = write_pass(Recorded(SEEN, lines_of(plan(SEEN))))
UID = WEST.metadata.uid
GONE = object()


def changed(*path: Any, to: Any) -> str:
    """Return the document with one value replaced, or taken out."""
    raw = json.loads(TEXT)
    *outer, last = path
    inner = raw
    for part in outer:
        inner = inner[part]
    if to is GONE:
        del inner[last]
    else:
        inner[last] = to
    return json.dumps(raw)


def fault(text: str) -> str:
    with pytest.raises(RecordError) as caught:
        read_pass(text)
    said = str(caught.value)
    assert "\n" not in said
    return said


def test_the_document_itself_is_fine():
    assert read_pass(TEXT).view == SEEN


@pytest.mark.parametrize("length", [0, 1, 30, len(TEXT) // 2, len(TEXT) - 1])
def test_a_file_that_is_cut_off(length):
    assert f"of {length} characters" in fault(TEXT[:length])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "this is no recorded pass"),
        ("7", "this is no recorded pass"),
        ('{"apiVersion": "v1"}', "this is no recorded pass"),
        ('{"sublet": "pass/v2"}', "recorded as 'pass/v2'; this program reads pass/v1"),
        ('{"sublet": 1}', "recorded as '1'; this program reads pass/v1"),
        ('{"sublet": "pass/v1"}', "missing field program"),
        ('{"sublet": "a", "sublet": "b"}', "the field 'sublet' stands twice in one object"),
        ('{"sublet": NaN}', "NaN is no number"),
        ("[" * 200_000, "not a recorded pass: nested too deep"),
    ],
)
def test_what_is_no_record(text, said):
    assert fault(text) == said


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("view",), GONE, "missing field view"),
        (("plan",), GONE, "missing field plan"),
        (("plan",), ["x"], "plan: a list of objects wanted"),
        (("more",), 1, "unknown field more"),
        (("redacted",), 0, "redacted: bool wanted, int found"),
        (("view",), [], "view: object wanted, list found"),
        (("view", "now_ms"), GONE, "view: missing field now_ms"),
        (("view", "now_ms"), 1.5, "view.now_ms: int wanted, float found"),
        (("view", "now_ms"), True, "view.now_ms: int wanted, bool found"),
        (("view", "weather"), "", "view: unknown field weather"),
        (("view", "claims"), {}, "view.claims: list wanted, dict found"),
        (
            ("view", "claims", 0, "spec", "gpus"),
            "8",
            "view.claims[0].spec.gpus: int wanted, str found",
        ),
        (("view", "claims", 0, "spec", "gpus"), GONE, "view.claims[0].spec: missing field gpus"),
        (
            ("view", "claims", 0, "spec", "topology", "scope"),
            "Moon",
            "view.claims[0].spec.topology.scope: 'Moon' is no Scope",
        ),
        (
            ("view", "classes", 0, "spec", "prices", 0, "perGpuHour"),
            3.99,
            "view.classes[0].spec.prices[0].perGpuHour: decimal wanted, float found",
        ),
        (
            ("view", "classes", 0, "spec", "prices", 0, "perGpuHour"),
            "NaN",
            "view.classes[0].spec.prices[0].perGpuHour: decimal wanted, str found",
        ),
        (
            ("view", "inventories", UID, "nodes", "west-0001", "gpus"),
            None,
            f"view.inventories[{UID}].nodes[west-0001].gpus: int wanted, NoneType found",
        ),
        (("view", "priorities"), [], "view.priorities: object wanted, list found"),
        (("view", "default_tenant"), 5, "view.default_tenant: str wanted, int found"),
    ],
)
def test_a_field_that_isnt_right(path, value, said):
    assert fault(changed(*path, to=value)) == said
