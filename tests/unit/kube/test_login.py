"""A token that is taken anew: once for all who need it, and not again and again in vain."""

import asyncio

import pytest

from sublet.kube import login
from sublet.kube.login import Login


class Giver:
    """Gives tokens, or fails; `let` lets it answer."""

    def __init__(self, *tokens: str) -> None:
        self._tokens = list(tokens)
        self.asked = 0
        self.let = asyncio.Event()
        self.let.set()

    async def take(self) -> str:
        self.asked += 1
        await self.let.wait()
        if not self._tokens:
            raise ValueError("no usable kubeconfig")
        return self._tokens.pop(0)


async def test_the_token_is_the_first_one_until_another_was_taken():
    ours = Login("t-1", Giver("t-2").take)
    first = ours.token()
    await ours.renew()

    assert (first, ours.token()) == ("t-1", "t-2")


async def test_all_who_wait_get_the_one_token_that_is_taken():
    giver = Giver("t-2", "t-3")
    giver.let.clear()
    ours = Login("t-1", giver.take)
    waiting = [asyncio.create_task(ours.renew()) for _ in range(3)]
    await asyncio.sleep(0)
    giver.let.set()
    await asyncio.gather(*waiting)

    assert (giver.asked, ours.token()) == (1, "t-2")


async def test_who_gives_up_waiting_doesnt_end_it_for_the_others():
    giver = Giver("t-2")
    giver.let.clear()
    ours = Login("t-1", giver.take)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ours.renew(), 0.01)
    giver.let.set()
    await ours.renew()

    assert (giver.asked, ours.token()) == (1, "t-2")


@pytest.mark.parametrize("tokens", [(), ("",), ("t-1",)], ids=["fails", "gives none", "the same"])
async def test_what_is_taken_in_vain_keeps_the_token_and_isnt_taken_again_at_once(tokens):
    giver = Giver(*tokens)
    ours = Login("t-1", giver.take)
    await ours.renew()
    await ours.renew()

    assert (giver.asked, ours.token()) == (1, "t-1")


async def test_what_was_taken_in_vain_is_taken_again_after_a_while(monkeypatch):
    monkeypatch.setattr(login, "_REST_SECONDS", 0.0)
    giver = Giver("", "t-2")
    ours = Login("t-1", giver.take)
    await ours.renew()
    await ours.renew()

    assert ours.token() == "t-2"


async def test_a_program_that_never_answers_is_waited_for_so_long(monkeypatch):
    monkeypatch.setattr(login, "_TAKE_SECONDS", 0.01)
    giver = Giver("t-2")
    giver.let.clear()
    ours = Login("t-1", giver.take)
    await ours.renew()

    assert ours.token() == "t-1"
