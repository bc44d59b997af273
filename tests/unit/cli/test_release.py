"""`sublet release`: it says what ends, asks, and ends exactly what was shown."""

import builtins
import signal
import sys
from types import SimpleNamespace

import pytest

from sublet.api.gpuclaim import GpuClaim
from sublet.api.kept_status import kept
from sublet.api.times import parse_instant
from sublet.cli import following, release
from tests.builders.api import claim
from tests.builders.stored import bound_claim, let_go_claim, status_of
from tests.harness.fake_api import SteppedClock

NOW = parse_instant("2026-11-22T12:00:00Z")


@pytest.fixture(autouse=True)
def at_noon(monkeypatch):
    clock = SteppedClock()
    clock.seconds = NOW / 1_000
    monkeypatch.setattr(release, "SystemClock", lambda: clock)
    monkeypatch.setattr(following, "_EVERY_SECONDS", 0.01)


@pytest.fixture
def answer(monkeypatch):
    """Return what makes somebody sit at the terminal and say something."""

    def sits(text):
        monkeypatch.setattr(release, "is_attended", lambda: True)
        monkeypatch.setattr(builtins, "input", lambda question: print(question) or text)

    return sits


def test_it_says_what_ends_and_deletes_the_claim_that_was_shown(person, hub):
    made = hub.put(bound_claim())
    status, out, _ = person.run("release", "train", "--yes")

    assert status == 0
    assert [r[0] for r in hub.requests] == ["GET", "DELETE"]
    assert hub.bodies[-1]["preconditions"] == {
        "uid": made["metadata"]["uid"],
        "resourceVersion": made["metadata"]["resourceVersion"],
    }
    assert out.splitlines()[:4] == [
        "Claim:     acme/train",
        "Asked for: 8 GPUs of class h100, for 4h",
        "Ends:      8 GPUs at west, 2h so far, 2h before their end",
        "Price:     3.99 USD per GPU-hour, up to the release",
    ]
    assert out.splitlines()[-1] == "acme/train is deleted; its GPUs are taken back"


@pytest.mark.parametrize(("said", "remains"), [("y", False), ("yes", False), ("", True), ("n", True)])  # fmt: skip
def test_a_person_is_asked_and_only_yes_is_yes(person, hub, answer, said, remains):
    hub.put(bound_claim())
    answer(said)
    status, out, _ = person.run("release", "train")

    assert status == 0
    assert "Release acme/train? [y/N] " in out
    assert bool(hub.objects) is remains
    assert ("nothing was changed" in out) is remains


@pytest.fixture
def interruptible():
    """Let Ctrl-C be heard: a program that is started in the background by a script ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def ctrl_c(then):
    """Return what somebody meets who types Ctrl-C, and goes on if that ends nothing."""

    def typed(*arguments):
        signal.raise_signal(signal.SIGINT)
        return then(*arguments)

    return typed


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_at_the_question_ends_it_whatever_is_answered_after_it(person, hub, monkeypatch):
    hub.put(bound_claim())
    monkeypatch.setattr(release, "is_attended", lambda: True)
    monkeypatch.setattr(builtins, "input", ctrl_c(lambda _: "y"))
    status, _, _ = person.run("release", "train")

    assert status == 130
    assert [method for method, _, _ in hub.requests] == ["GET"]


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_before_the_question_is_not_asked_away(person, hub, answer, monkeypatch):
    hub.put(bound_claim())
    answer("y")
    monkeypatch.setattr(release, "what_ends", ctrl_c(release.what_ends))
    status, out, said = person.run("release", "train")

    assert status == 130, said
    assert "Release acme/train?" not in out
    assert hub.objects


def test_where_nobody_can_be_asked_it_wants_yes(person, hub):
    hub.put(bound_claim())
    status, _, err = person.run("release", "train")

    assert status == 1
    assert "say --yes" in err
    assert hub.objects


def test_suspending_keeps_the_claim(person, hub):
    hub.put(bound_claim())
    _, out, _ = person.run("release", "train", "--suspend", "--yes")

    (found,) = hub.objects.values()
    assert found["spec"]["suspended"] is True
    assert [o["op"] for o in hub.bodies[-1]] == ["test", "test", "add"]
    assert "acme/train is suspended" in out


@pytest.fixture
def meanwhile(monkeypatch):
    """Return what lets somebody write to a claim between the moment it is shown and the write."""
    shows = release.what_ends

    def happens(change):
        waiting = [change]

        def shown(claim, now_ms):
            said = shows(claim, now_ms)
            if waiting:
                waiting.pop()()
            return said

        monkeypatch.setattr(release, "what_ends", shown)

    return happens


@pytest.mark.parametrize("keep", [(), ("--suspend",)])
def test_what_changed_meanwhile_is_not_ended(person, hub, meanwhile, keep):
    made = hub.put(bound_claim())

    def moved():
        made["status"]["allocation"]["pricePerGpuHour"] = "5.00"
        made["metadata"]["resourceVersion"] = "999"

    meanwhile(moved)
    status, _, err = person.run("release", "train", "--yes", *keep)

    assert status == 1
    assert "claim acme/train changed meanwhile; look at what ends and say it again" in err
    (found,) = hub.objects.values()
    assert "suspended" not in found["spec"]


@pytest.mark.parametrize("keep", [(), ("--suspend",)])
def test_what_the_operator_wrote_meanwhile_stops_nothing_if_the_same_ends(person, hub, meanwhile, keep):  # fmt: skip
    made = hub.put(bound_claim())
    meanwhile(lambda: made["metadata"].update(resourceVersion="999"))
    status, out, _ = person.run("release", "train", "--yes", *keep)

    assert status == 0
    assert out.count("Claim:     acme/train") == 1
    assert [o["spec"].get("suspended") for o in hub.objects.values()] == [True] * len(keep)


def test_another_claim_of_the_name_is_not_ended(person, hub, meanwhile):
    hub.put(bound_claim())
    meanwhile(lambda: hub.put(bound_claim()))
    status, _, err = person.run("release", "train", "--yes")

    assert status == 1
    assert "changed meanwhile" in err
    assert hub.objects


def test_a_change_that_the_hub_refuses_is_said_with_its_words(person, hub):
    hub.put(bound_claim())
    hub.refusal = (422, "Invalid", "suspended: no")
    status, _, err = person.run("release", "train", "--suspend", "--yes")

    assert status == 1
    assert "sublet: the hub refuses the change of claim acme/train: suspended: no" in err


def test_what_a_window_costs_that_is_given_up_late_is_said_before(person, hub):
    window = bound_claim()
    window["spec"]["schedule"] = {"startTime": "2026-11-22T14:00:00Z", "durationSeconds": 36_000}
    del window["status"]["allocation"]["boundTime"]
    window["status"]["allocation"] |= {
        "untilTime": "2026-11-23T00:00:00Z",
        "cancellation": {"freeBeforeStartSeconds": 86_400, "chargePercent": 50, "untilTime": "2026-11-23T00:00:00Z"},
    }  # fmt: skip
    hub.put(window)
    _, out, _ = person.run("release", "train", "--yes")

    # 8 GPUs for 10 hours at half of 3.99
    assert "Costs:     159.60 USD: 50% of 80.00 GPU-hours of the window that are given up" in out


def test_a_claim_that_waits_holds_nothing(person, hub):
    hub.put(claim("train"))
    _, out, _ = person.run("release", "train", "--yes")

    assert "Ends:      nothing is held; the claim waits no longer" in out
    assert hub.objects == {}


def test_it_waits_until_the_gpus_are_free(person, hub):
    hub.put(bound_claim())
    _, out, _ = person.run("release", "train", "--yes", "--wait", "5")

    assert out.splitlines()[-1] == "its GPUs are free"


def test_gpus_are_free_though_the_object_is_held_back_by_anothers_finalizer(
    person, hub, monkeypatch
):
    hub.put(bound_claim())

    def held_back(path, found, body):
        found["metadata"] |= {"deletionTimestamp": "2026-11-22T12:00:00Z", "finalizers": ["foregroundDeletion"], "generation": 2}  # fmt: skip
        claim = GpuClaim.model_validate(found)
        found["status"] = status_of(claim.model_copy(update={"status": kept(claim, NOW)}))
        return 200, {"kind": "Status", "status": "Success"}

    monkeypatch.setattr(hub, "_delete", held_back)
    status, out, _ = person.run("release", "train", "--yes", "--wait", "1")

    assert status == 0
    assert out.splitlines()[-1] == "its GPUs are free"


def test_gpus_that_nobody_has_taken_back_yet_arent_free(person, hub, monkeypatch):
    hub.put(bound_claim())
    monkeypatch.setattr(hub, "_delete", lambda *_: (200, {"kind": "Status", "status": "Success"}))
    status, _, err = person.run("release", "train", "--yes", "--wait", "1")

    assert status == 1
    assert "the GPUs of acme/train aren't free after 1 second" in err


def test_asking_needs_a_terminal():
    assert release.is_attended() is sys.stdin.isatty()


def test_where_standard_input_is_closed_nobody_is_asked(person, hub, monkeypatch):
    hub.put(bound_claim())
    monkeypatch.setattr(release, "sys", SimpleNamespace(stdin=None))
    status, _, err = person.run("release", "train")

    assert status == 1
    assert "nobody is there to be asked whether acme/train is to end; say --yes if it is" in err


def test_of_what_a_claim_held_last_nothing_ends(person, hub):
    hub.put(let_go_claim())
    _, out, _ = person.run("release", "train", "--yes")

    assert out.splitlines()[2] == "Ends:      nothing is held; the claim waits no longer"
