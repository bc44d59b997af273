"""A process that the hub doesn't let in for long ends; a hub that is away, or refuses now and then, ends nobody."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from sublet.hub.lockout import until_locked_out
from sublet.kube.errors import ServerError, Unauthorized, Unreachable, Untrusted
from tests.builders.api import uid_of
from tests.harness.fake_api import eventually

STRANGE = Untrusted("GET /api: its certificate isn't trusted")
REFUSED = Unauthorized(401, "Unauthorized", "Unauthorized")
AWAY = Unreachable("GET /api: refused")
IN_TROUBLE = ServerError(503, "ServiceUnavailable", "in trouble")


class Door:
    """A hub that answers who it is, or fails, as it is told; the last goes on for ever."""

    def __init__(self, *answers: Exception | None) -> None:
        self._answers = list(answers)
        self.asked = 0

    async def get_as(self, _: str, type_: Callable[..., Any]) -> Any:
        self.asked += 1
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if answer is not None:
            raise answer
        return type_(metadata=type("Meta", (), {"uid": uid_of("hub")}))


def guarded(door: Any) -> Any:
    return until_locked_out(door, every_seconds=0.001, tries=3)


@pytest.mark.parametrize("error", [STRANGE, REFUSED], ids=["CA", "credential"])
async def test_who_isnt_let_in_for_long_ends_and_says_once_why(error: Exception):
    door = Door(None, error)
    with capture_logs() as logged:
        await asyncio.wait_for(guarded(door), 30)

    assert door.asked == 4
    (line,) = logged
    assert (line["log_level"], line["error"]) == ("error", str(error))


async def test_a_hub_that_is_away_meanwhile_lets_nobody_in():
    door = Door(STRANGE, AWAY, STRANGE, AWAY, STRANGE)
    with capture_logs():
        await asyncio.wait_for(guarded(door), 30)

    assert door.asked == 5


@pytest.mark.parametrize(
    "answers",
    [(AWAY,), (IN_TROUBLE,), (STRANGE, STRANGE, None, STRANGE, STRANGE, None), (REFUSED, REFUSED, IN_TROUBLE)],
    ids=["away", "in trouble", "lets in now and then", "in trouble at last"],
)  # fmt: skip
async def test_nobody_ends_while_the_hub_may_let_them_in(answers: tuple[Exception | None, ...]):
    door = Door(*answers)
    task = asyncio.create_task(guarded(door))
    await eventually("many tries", lambda: door.asked > 10)

    assert not task.done()
    task.cancel()
