"""What a look takes for an orphan, and what not."""

from typing import Any

from sublet.api.gpulease import GpuLease
from sublet.api.ids import ClaimUID
from sublet.api.last_word import Leftover
from sublet.drift.claims import Claims
from sublet.drift.look import Sight
from sublet.drift.lookout import find_orphans, left_by
from tests.builders.api import NOW, as_lease, uid_of

GONE = ClaimUID(uid_of("gone"))
NAME = f"sublet-{GONE}-1"
HOME: dict[str, Any] = {"metadata": {"name": NAME, "labels": {"sublet.dev/claim": GONE}}}


def leaving_behind(*uids: ClaimUID) -> GpuLease:
    west = as_lease()
    left = tuple(Leftover(claim_uid=u, homes=(1,), gpus=8, since_time=NOW) for u in uids)
    return west.model_copy(update={"status": west.status.model_copy(update={"leftovers": left})})


def test_a_namespace_of_a_claim_that_nobody_has_is_an_orphan():
    sight = Sight({NAME: HOME}, {})

    (found,) = find_orphans(sight, Claims([]), {}, left_by(leaving_behind()))

    assert (found.claim_uid, found.namespaces) == (GONE, (NAME,))


def test_what_was_left_by_a_persons_word_is_known_and_no_orphan():
    sight = Sight({NAME: HOME}, {})

    assert find_orphans(sight, Claims([]), {}, left_by(leaving_behind(GONE))) == ()
