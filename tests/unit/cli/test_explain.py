"""What `sublet explain` says of a claim whose cluster is silent, and of one that hangs."""

import pytest

from sublet.api import bound_status, claim_status
from sublet.api.gpuclaim import GpuClaim, Release
from sublet.api.outage import Outage
from sublet.api.relocation import ReleaseCause
from sublet.cli.explain import explain
from tests.builders.api import NOW
from tests.builders.moves import leased, running
from tests.builders.stored import let_go_claim

WEST = leased("west")


def told(message: str, outages: tuple[Outage, ...] = ()):
    each = running(WEST)
    status = bound_status.reached(each, "Unreachable", message, outages, NOW)
    return each.model_copy(update={"status": status})


def test_a_silent_cluster_and_the_disputed_time_are_said(capsys: pytest.CaptureFixture[str]):
    outage = Outage(sequence=1, lease_uid=WEST[0].metadata.uid, gpus=8, from_time=NOW)

    explain(told("west hasn't been reachable since noon", (outage,)), NOW)

    said = capsys.readouterr().out
    assert "west hasn't been reachable since noon" in said
    assert "8 GPUs at west from 2026-11-22T10:00:00Z on" in said


def test_a_cluster_that_answers_again_is_no_matter(capsys: pytest.CaptureFixture[str]):
    explain(told(""), NOW)

    assert "Silent" not in capsys.readouterr().out


def test_a_release_that_hangs_says_for_what(capsys: pytest.CaptureFixture[str]):
    each = running(WEST)
    decided = Release(cause=ReleaseCause.DELETED, release_time=NOW, sequence=1)
    each = each.model_copy(update={"status": claim_status.releasing(each, decided, NOW)})
    status = claim_status.delayed(each, "waiting for west", NOW)

    explain(each.model_copy(update={"status": status}), NOW)
    assert "waiting for west" in capsys.readouterr().out


@pytest.mark.parametrize("cause", [ReleaseCause.SUSPENDED, ReleaseCause.PREEMPTED, ReleaseCause.COMPLETED])  # fmt: skip
def test_what_a_claim_held_last_is_not_shown_as_held(
    capsys: pytest.CaptureFixture[str], cause: ReleaseCause
):
    explain(GpuClaim.model_validate(let_go_claim(cause=cause)), NOW)

    said = {line.split(":")[0] for line in capsys.readouterr().out.splitlines()}
    assert "Asked for" in said
    assert said.isdisjoint({"Nodes", "Price", "Billed", "Ends"})
