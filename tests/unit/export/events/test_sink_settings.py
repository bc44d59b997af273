"""A sink's URL and token that are wrong are said, without a secret, and lose nothing."""

from pathlib import Path

from structlog.testing import capture_logs

from tests.harness.outbox import World, until


async def test_the_token_is_read_anew_for_each_request(world: World, tmp_path: Path):
    token = tmp_path / "token"
    token.write_text("one\n")
    outbox = world.operator(token_file=str(token))
    await world.lines("a")
    await outbox.step()
    token.write_text("two\n")
    await world.lines("b")
    await outbox.step()

    assert [h["Authorization"] for h in world.sink.headers] == ["Bearer one", "Bearer two"]


async def test_a_token_that_isnt_there_is_said_and_loses_nothing(world: World, tmp_path: Path):
    outbox = world.operator(token_file=str(tmp_path / "token"))
    await world.lines("a")

    with capture_logs() as logs:
        await outbox.step()
    (tmp_path / "token").write_text("one")
    await until(outbox, world, lambda: len(world.sink.events) == 1)

    assert "the token can't be read" in logs[0]["error"]


async def test_a_token_that_is_no_text_is_said_without_it_and_loses_nothing(
    world: World, tmp_path: Path
):
    token = tmp_path / "token"
    token.write_bytes(b"secret\xff")
    outbox = world.operator(token_file=str(token))
    await world.lines("a")

    with capture_logs() as logs:
        await outbox.step()
    token.write_text("one")
    await until(outbox, world, lambda: len(world.sink.events) == 1)

    assert "no text in" in logs[0]["error"]
    assert "secret" not in str(logs)


async def test_a_url_that_is_none_is_said_without_its_secrets(world: World):
    outbox = world.operator(url="http://user:secret@host:99999/events?token=secret")
    await world.lines("a")

    with capture_logs() as logs:
        await outbox.step()

    assert logs[0]["error"] == "refused: its URL is none; change it or the settings"
    assert "secret" not in str(logs)
