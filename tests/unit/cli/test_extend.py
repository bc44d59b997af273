"""`sublet extend`: a longer duration is asked for, of the very claim that was looked at, and the answer is said."""

import pytest

from sublet.cli import extend, following
from tests.builders.stored import END, bound_claim, let_go_claim


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(following, "_EVERY_SECONDS", 0.01)


def granted(until, cause="Completed"):
    def operator(found):
        found["status"]["allocation"] |= {"untilTime": until, "untilCause": cause}
        found["status"]["observedGeneration"] = found["metadata"]["generation"]

    return operator


def test_the_duration_is_raised_on_the_object_that_was_seen(person, hub):
    made = hub.put(bound_claim())
    before = dict(made["metadata"])
    hub.operator = granted("2026-11-22T18:00:00Z")
    status, out, _ = person.run("extend", "train", "--by", "4h")

    assert status == 0
    assert hub.bodies[1] == [
        {"op": "test", "path": "/metadata/uid", "value": before["uid"]},
        {"op": "test", "path": "/metadata/resourceVersion", "value": before["resourceVersion"]},
        {"op": "replace", "path": "/spec/schedule/durationSeconds", "value": 28_800},
    ]
    assert out.splitlines() == [
        "acme/train asks for 8h in all",
        "granted: it has its GPUs until 2026-11-22T18:00:00Z",
    ]


def test_what_the_operator_wrote_meanwhile_stops_no_extension(person, hub, monkeypatch):
    made = hub.put(bound_claim())
    seconds = extend.Later.seconds

    def meanwhile(later, claim):
        made["metadata"]["resourceVersion"] = "999"
        return seconds(later, claim)

    monkeypatch.setattr(extend.Later, "seconds", meanwhile)
    assert person.run("extend", "train", "--by", "4h", "--wait", "0")[0] == 0
    assert made["spec"]["schedule"]["durationSeconds"] == 28_800


def test_a_duration_that_somebody_else_changed_meanwhile_is_looked_at_again(person, hub, monkeypatch):  # fmt: skip
    made = hub.put(bound_claim())
    seconds = extend.Later.seconds

    def meanwhile(later, claim):
        had = seconds(later, claim)
        made["metadata"]["resourceVersion"] = "999"
        made["spec"]["schedule"]["durationSeconds"] = 18_000
        return had

    monkeypatch.setattr(extend.Later, "seconds", meanwhile)
    status, _, err = person.run("extend", "train", "--by", "4h")

    assert status == 1
    assert "claim acme/train changed meanwhile; look at it and ask again" in err
    assert made["spec"]["schedule"]["durationSeconds"] == 18_000


def test_until_an_instant_is_counted_from_its_present_end(person, hub):
    hub.put(bound_claim())
    hub.operator = granted("2026-11-22T16:30:00Z")
    person.run("extend", "train", "--until", "2026-11-22T16:30:00Z")

    assert hub.bodies[1][-1]["value"] == 14_400 + 9_000


def test_what_is_granted_in_part_is_said(person, hub):
    hub.put(bound_claim())
    hub.operator = granted("2026-11-22T15:00:00Z", "LeaseEnded")
    _, out, _ = person.run("extend", "train", "--by", "4h")

    assert out.splitlines()[1] == (
        "it has its GPUs until 2026-11-22T15:00:00Z only (LeaseEnded); sublet explain train -n acme says how it stands"
    )


def test_what_is_not_granted_at_all_is_never_called_granted(person, hub):
    hub.put(bound_claim())
    hub.operator = granted("2026-11-22T14:00:00Z")
    status, out, _ = person.run("extend", "train", "--by", "4h")

    assert (status, out.splitlines()[1]) == (
        0,
        "it has its GPUs until 2026-11-22T14:00:00Z only; sublet explain train -n acme says how it stands",
    )


def test_an_end_that_the_class_cuts_short_is_no_grant_of_what_was_asked(person, hub):
    hub.put(bound_claim())
    hub.operator = granted("2026-11-22T16:00:00Z")
    _, out, _ = person.run("extend", "train", "--by", "4h")

    assert "until 2026-11-22T16:00:00Z only" in out


def test_without_an_answer_yet_it_says_that(person, hub):
    hub.put(bound_claim())
    status, out, _ = person.run("extend", "train", "--by", "4h", "--wait", "0")

    assert status == 0
    assert "the operator hasn't answered yet" in out


@pytest.mark.parametrize(
    ("has", "arguments", "says"),
    [
        ({"until": None, "seconds": None}, ("--by", "4h"), "has no duration: it has no end to extend"),
        ({}, (), "say by how long, or until when"),
        ({}, ("--by", "4h", "--until", END), "say by how long, or until when"),
        ({}, ("--until", "2026-11-22T13:00:00Z"), "has its GPUs until 2026-11-22T14:00:00Z already"),
        ({}, ("--until", "noon"), "--until: "),
        ({}, ("--by", "0h"), "--by '0h' is no length of time"),
    ],
)  # fmt: skip
def test_what_is_no_extension_is_one_line_and_nothing_is_written(person, hub, has, arguments, says):
    hub.put(bound_claim(**has))
    status, out, err = person.run("extend", "train", *arguments)

    assert (status, out, len(err.splitlines())) == (1, "", 1)
    assert says in err
    assert [r[0] for r in hub.requests] == ["GET"]


def test_an_end_that_is_over_is_not_counted_from(person, hub):
    hub.put(let_go_claim())
    status, _, err = person.run("extend", "train", "--until", "2026-11-22T18:00:00Z")

    assert status == 1
    assert "isn't reserved up to its own end" in err


def test_nothing_is_granted_to_a_claim_that_holds_nothing(person, hub):
    hub.put(let_go_claim())
    hub.operator = granted("2026-11-22T18:00:00Z")
    _, out, _ = person.run("extend", "train", "--by", "4h")

    assert out.splitlines()[1].startswith("it isn't reserved yet and will be for 8h")


def test_a_claim_that_isnt_there_is_said(person):
    status, _, err = person.run("extend", "gone", "--by", "4h")

    assert status == 1
    assert err == "sublet: claim acme/gone: not found on the hub; check name, namespace (-n) and context (--context)\n"  # fmt: skip
