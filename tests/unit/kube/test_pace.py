"""How much of the loop a stream may take: a burst at once, a flood a quarter."""

from collections.abc import Iterator

from sublet.kube.pace import Pace
from tests.harness.fake_api import SteppedClock


def pace(clock: SteppedClock) -> Pace:
    return Pace(clock.sleep, now=clock.monotonic)


async def work(clock: SteppedClock, paced: Pace, seconds: float, each: float = 0.005) -> None:
    """Spend so much time on events, giving way when it is the others' turn."""
    for _ in range(round(seconds / each)):
        clock.seconds += each
        if paced.took(each):
            await paced.give_way()


async def test_a_burst_is_taken_at_once_with_turns_in_between():
    clock = SteppedClock()
    await work(clock, pace(clock), 1.5)

    assert len(clock.waits) == 150
    assert set(clock.waits) == {0.0}


async def test_a_flood_is_held_to_a_quarter_of_the_time():
    clock = SteppedClock()
    paced = pace(clock)
    await work(clock, paced, 3.0)
    began = clock.seconds
    await work(clock, paced, 10.0)

    assert 0.24 < 10.0 / (clock.seconds - began) < 0.26


async def test_what_was_quiet_has_time_saved_up_again():
    clock = SteppedClock()
    paced = pace(clock)
    await work(clock, paced, 5.0)
    clock.seconds += 60
    await paced.give_way()
    clock.waits.clear()
    await work(clock, paced, 1.5)

    assert set(clock.waits) == {0.0}


async def test_steps_are_taken_with_turns_in_between_and_what_is_done_with_them_isnt_counted():
    clock = SteppedClock()

    def steps() -> Iterator[int]:
        for number in range(10):
            clock.seconds += 0.006
            yield number

    taken = []
    async for number in pace(clock).over(steps()):
        clock.seconds += 5.0
        taken.append(number)

    assert taken == list(range(10))
    assert clock.waits == [0.0] * 5


async def test_who_may_save_up_more_takes_more_at_once():
    clock = SteppedClock()
    await work(clock, Pace(clock.sleep, clock.monotonic, saved_seconds=30.0), 20.0)

    assert set(clock.waits) == {0.0}
