"""`sublet top`, once and again and again."""

import asyncio
import json
import sys

import pytest

from sublet.cli import top, watching
from sublet.kube.errors import KubeError
from tests.builders.api import claim, lease
from tests.builders.stored import bound_claim, let_go_claim


class Enough(Exception):
    """Somebody has seen enough."""


@pytest.fixture
def looks(monkeypatch):
    """Return the pauses; the third look is the last one."""
    pauses = []
    sleeps = asyncio.sleep

    async def pause(seconds):
        pauses.append(seconds)
        if len(pauses) == 3:
            raise KeyboardInterrupt
        await sleeps(0)

    monkeypatch.setattr(asyncio, "sleep", pause)
    return pauses


def test_leases_and_claims_stand_below_each_other(person, hub):
    hub.put(lease("west"))
    hub.put(bound_claim())
    hub.put(claim("infer", "globex", gpus=16))
    status, out, _ = person.run("top")

    assert status == 0
    assert [line.split() for line in out.splitlines()[4:]] == [
        ["acme", "train", "h100", "8", "Bound", "west", "2026-11-22T14:00:00Z"],
        ["globex", "infer", "h100", "16", "Waiting"],
    ]


def test_what_a_claim_held_last_is_not_where_it_is(person, hub):
    hub.put(let_go_claim())
    _, out, _ = person.run("top", "-o", "wide")

    assert out.splitlines()[-1].split() == ["acme", "train", "h100", "8", "Waiting"]


def test_programs_get_the_objects_whole_and_sorted(person, hub):
    hub.put(lease("west"))
    for name in ("train", "infer"):
        body = bound_claim(name)
        body["metadata"]["managedFields"] = [{"manager": "kubectl"}]
        hub.put(body)
    _, out, _ = person.run("top", "-o", "json")

    data = json.loads(out)
    assert [x["metadata"]["name"] for x in data["leases"]] == ["west"]
    assert [x["metadata"]["name"] for x in data["claims"]] == ["infer", "train"]
    assert data["claims"][0]["status"]["allocation"]["placements"]
    assert "managedFields" not in out


def test_a_lease_shows_the_price_that_holds_now_and_its_end(person, hub):
    prices = [
        {"effectiveTime": "2026-01-01T00:00:00Z", "perGpuHour": "2.10"},
        {"effectiveTime": "2026-02-01T00:00:00Z", "perGpuHour": "2.35"},
        {"effectiveTime": "2999-01-01T00:00:00Z", "perGpuHour": "9"},
    ]
    hub.put(lease("west", prices=prices, end="2999-01-01T02:00:00+02:00"))
    _, out, _ = person.run("top", "-o", "wide")

    (line,) = (each for each in out.splitlines() if each.startswith("west"))
    assert "2.35 USD" in line
    assert "2999-01-01T00:00:00Z" in line


async def test_watching_shows_what_is_new_each_time(capsys, looks):
    seen = iter(range(10))

    async def look():
        number = next(seen)
        return lambda: print(f"look {number}")

    with pytest.raises(KeyboardInterrupt):
        await watching.watch(look, 0.5, what="the pool")

    out = capsys.readouterr().out
    assert looks == [0.5, 0.5, 0.5]
    assert [line for line in out.splitlines() if line.startswith("look")] == ["look 0", "look 1", "look 2"]  # fmt: skip
    assert "every 0.5 s; Ctrl-C ends it" in out
    assert "\x1b" not in out, "no terminal, no codes"


@pytest.mark.parametrize(("terminal", "in_place"), [("xterm", True), ("dumb", False)])
async def test_watching_is_in_place_where_the_terminal_can_do_that(
    capsys, looks, monkeypatch, terminal, in_place
):
    monkeypatch.setenv("TERM", terminal)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)

    async def look():
        return lambda: print("look")

    with pytest.raises(KeyboardInterrupt):
        await watching.watch(look, 0.5, what="the pool")

    assert ("\x1b" in capsys.readouterr().out) is in_place


async def test_a_hub_that_is_away_for_a_while_is_said_above_what_was_seen_last(capsys, looks):
    answers = iter([lambda: print("look"), KubeError("away"), lambda: print("again")])

    async def look():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises(KeyboardInterrupt):
        await watching.watch(look, 1, what="the pool")

    out = [line for line in capsys.readouterr().out.splitlines() if line and "Ctrl-C" not in line]
    assert out == ["look", "the pool: away", "look", "again"]


def test_watching_is_for_people(person):
    status, _, err = person.run("top", "--watch", "-o", "json")

    assert status == 1
    assert err == "sublet: --watch shows tables; leave it out, or give -o table or wide\n"


def test_what_top_reads_is_what_it_watches(person, hub, monkeypatch):
    hub.put(lease("west"))

    async def once(look, every_seconds, *, what):
        (await look())()
        raise Enough

    monkeypatch.setattr(top, "watch", once)
    _, out, err = person.run("top", "--watch", "--every", "5")

    assert "west" in out
    assert "Enough" in err
