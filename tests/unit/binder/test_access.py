"""When a token is renewed, whatever the clock of the cluster that made it says."""

import pytest

from sublet.api.times import Millis
from sublet.binder.access import Grant
from sublet.kube.session import Endpoint

NOW, HOUR = Millis(1_700_000_000_000), 3_600_000


@pytest.mark.parametrize(
    ("ahead_ms", "after_ms"),
    [
        (0, HOUR),  # half of two hours
        (12 * HOUR, HOUR),  # by its own clock it ends in fourteen hours; by ours in two
        (-HOUR, HOUR // 2),  # it seems to end in one hour
        (-12 * HOUR, 60_000),  # it seems to be over: soon again, not at once
    ],
)
def test_a_token_is_renewed_before_it_ends_by_any_clock(ahead_ms: int, after_ms: int):
    expires = Millis(NOW + ahead_ms + 2 * HOUR)
    grant = Grant("west", "home", Endpoint("https://west"), "t", NOW, expires, 2 * HOUR)

    assert grant.renewal_ms - NOW == after_ms
