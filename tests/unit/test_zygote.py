"""Operators that are forked instead of started: as good as a new interpreter."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.harness.zygote import fork_operator

pytestmark = pytest.mark.slow


def test_a_forked_operator_has_its_own_environment_output_and_exit_status(tmp_path: Path):
    log = tmp_path / "log"

    wrong = fork_operator("sublet", {"SUBLET_X": "1"}, log)
    fine = fork_operator("this", {}, tmp_path / "other")

    assert wrong.wait() == 2
    assert wrong.poll() == 2
    assert log.read_text().startswith("sublet: unknown setting SUBLET_X")
    assert fine.wait() == 0
    assert "Beautiful is better than ugly." in (tmp_path / "other").read_text()
    assert wrong.pid != fine.pid


def test_an_end_may_be_waited_for_and_looked_for_at_once(tmp_path: Path):
    for number in range(20):
        forked = fork_operator("this", {}, tmp_path / str(number))
        with ThreadPoolExecutor() as pool:
            waiters = [pool.submit(forked.wait) for _ in range(4)]
            while forked.poll() is None:
                pass

            assert [each.result() for each in waiters] == [0] * 4
