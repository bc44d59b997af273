"""Who sent a request is found out, also where one look misses it."""

from collections.abc import Collection

from tests.faults.peers import Owners


class Kernel:
    """A table of connections that says who holds one, unless it misses the line."""

    def __init__(self, *answers: int) -> None:
        self._answers = list(answers)

    def look(self, _port: int, _server_port: int, _pids: Collection[int]) -> int:
        return self._answers.pop(0) if self._answers else 0


class Line:
    """A connection."""

    def __init__(self) -> None:
        self.is_over = False

    def is_closing(self) -> bool:
        return self.is_over


def test_an_owner_that_a_look_missed_is_looked_for_again():
    assert Owners(Kernel(0, 0, 4).look).of(Line(), 1, 2, [3, 4]) == 4


def test_a_connection_stays_with_who_opened_it_and_is_looked_for_once():
    owners, line = Owners(Kernel(4, 3).look), Line()
    owners.of(line, 1, 2, [3, 4])

    assert owners.of(line, 1, 2, [3, 4]) == 4


def test_an_owner_that_no_look_finds_is_the_one_that_was_seen_last():
    owners = Owners(Kernel(4).look)
    owners.of(Line(), 1, 2, [3, 4])

    assert owners.of(Line(), 1, 2, [3, 4]) == 4


def test_a_port_that_has_gone_to_another_process_is_that_ones():
    owners = Owners(Kernel(4, 3).look)
    owners.of(Line(), 1, 2, [3, 4])

    assert owners.of(Line(), 1, 2, [3, 4]) == 3


def test_a_process_that_has_ended_owns_nothing():
    owners, line = Owners(Kernel(4).look), Line()
    owners.of(line, 1, 2, [3, 4])

    assert owners.of(line, 1, 2, [3, 5]) == 0


def test_connections_that_are_over_are_forgotten():
    owners, line = Owners(Kernel(4, 4, 3).look), Line()
    owners.of(line, 1, 2, [3, 4])
    line.is_over = True
    owners.of(Line(), 5, 2, [3, 4])

    assert owners.of(line, 1, 2, [3, 4]) == 3


def test_an_owner_that_was_never_found_is_said_to_be_none():
    assert Owners(Kernel().look).of(Line(), 1, 2, [3, 4]) == 0
