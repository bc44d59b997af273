"""Waiting for a claim: what is shown meanwhile, and what ends it."""

import time
from functools import partial

import pytest
from rich.console import Console

from sublet.cli import following
from sublet.kube.errors import NotFound, Unreachable
from tests.builders.api import as_claim, claim

CLAIM = as_claim()


class Hub:
    """Answers as it is told, the last answer again and again."""

    def __init__(self, *answers):
        self.answers = list(answers)

    async def get(self, path):
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def seen(message="", uid=CLAIM.metadata.uid):
    body = claim()
    pending = {"reason": "WaitingForCapacity", "message": message} if message else None
    meta = {**body["metadata"], "uid": uid}
    return {**body, "metadata": meta, "status": {"pending": pending} if pending else {}}


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(following, "_EVERY_SECONDS", 0.0)


async def follow(hub, seconds=5.0):
    return await following.follow(hub, CLAIM, lambda c: c.status.pending is None, seconds)


async def test_each_state_is_said_once(capsys):
    found, is_done = await follow(Hub(seen("a"), seen("a"), seen("b"), seen()))

    assert (found.metadata.name, is_done) == ("train", True)
    assert capsys.readouterr().err.splitlines() == ["  acme/train: a", "  acme/train: b"]


async def test_on_a_terminal_one_line_changes(capsys, monkeypatch):
    monkeypatch.setattr(following, "Console", partial(Console, force_terminal=True, width=80))
    await follow(Hub(seen("a"), seen()))

    assert "\x1b[?25l" in capsys.readouterr().err, "the cursor is hidden while it spins"


async def test_a_claim_that_is_gone_or_another_one_ends_it():
    assert await follow(Hub(NotFound(404, "NotFound", ""))) == (None, False)
    assert await follow(Hub(seen(uid="another"))) == (None, False)


async def test_a_hub_that_is_silent_for_a_moment_doesnt(capsys):
    _, is_done = await follow(Hub(Unreachable("away"), Unreachable("away"), seen()))

    assert is_done
    assert capsys.readouterr().err == "  acme/train: the hub doesn't answer\n"


async def test_a_hub_that_stays_silent_does_in_the_end():
    with pytest.raises(Unreachable):
        await follow(Hub(Unreachable("away")), seconds=0.0)


@pytest.mark.parametrize("terminal", [False, True])
def test_what_a_claim_says_is_shown_as_text_whatever_is_in_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, terminal: bool
):
    def screen(**_: object) -> Console:
        return Console(stderr=True, force_terminal=terminal, width=80)

    monkeypatch.setattr(following, "Console", screen)

    with following.progress() as say:
        say("waits for pods of [/x]\x1b[2J")
        time.sleep(0.2 if terminal else 0)  # a spinner draws by itself

    shown = capsys.readouterr().err
    assert "pods of [/x]" in shown
    assert "\x1b[2J" not in shown
