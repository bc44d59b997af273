"""Who sent a request is found out, also where one look misses it."""

from collections.abc import Collection

from tests.faults.peers import Owners


class Connection:
    """Stands for one."""


class Kernel:
    """A table of connections in which the first looks miss the line."""

    def __init__(self, misses: int) -> None:
        self.looks = 0
        self._misses = misses

    def look(self, _port: int, _server_port: int, pids: Collection[int]) -> int:
        self.looks += 1
        return max(pids) if self.looks > self._misses else 0


def test_an_owner_that_a_look_missed_is_looked_for_again_and_then_known():
    kernel, connection = Kernel(misses=2), Connection()
    owners = Owners(kernel.look)

    assert owners.of(connection, 1, 2, [3, 4]) == 4
    assert owners.of(connection, 1, 2, [3, 4]) == 4
    assert kernel.looks == 3


def test_a_connection_of_a_process_that_ended_is_nobodys_known_one():
    kernel, connection = Kernel(misses=0), Connection()
    owners = Owners(kernel.look)
    owners.of(connection, 1, 2, [3, 4])

    assert owners.of(connection, 1, 2, [1, 3]) == 3


def test_an_owner_that_no_look_finds_is_said_to_be_none():
    assert Owners(Kernel(misses=99).look).of(Connection(), 1, 2, [3, 4]) == 0
