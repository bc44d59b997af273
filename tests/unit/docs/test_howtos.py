"""What the how-tos show is printed by the program itself, from the objects that they show."""

import pytest
import yaml

from sublet.api import bound_status
from sublet.api.relocation import ReleaseCause
from sublet.api.times import Millis, parse_instant
from sublet.book.notices import notices
from sublet.cli.coverage import look, show_coverage
from sublet.cli.explain import explain
from tests.builders.api import NOW, as_class, as_lease
from tests.builders.crds import faults_of
from tests.builders.markdown import blocks
from tests.builders.moves import leased, running
from tests.builders.sales import sold

DAY_MS = 86_400_000


def shown(page: str, command: str) -> str:
    """Return what a page shows under a command, to the next command or the block's end."""
    for block in blocks(page):
        _, found, rest = block.text.partition(f"$ {command}\n")
        if found:
            return rest.split("\n$ ")[0].rstrip("\n")
    raise AssertionError(f"{page} doesn't show {command}")


def test_the_ramp_is_a_lease_and_earns_what_the_page_says(capsys: pytest.CaptureFixture[str]):
    page = "docs/howto/ramp.md"
    (text,) = (b.text for b in blocks(page) if b.language == "yaml")
    assert faults_of(yaml.safe_load(text)) == []
    ramp = as_lease(yaml.safe_load(text))
    march = parse_instant("2027-03-01T00:00:00Z")
    claims = [
        sold("train", ramp, 8, price="4.80"),
        sold("infer", ramp, 4, price="4.80", until_ms=march),
    ]

    for at in ("2026-11-22T10:00:00Z", "2027-07-01T00:00:00Z"):
        show_coverage(look([ramp], claims, parse_instant(at), NOW), wide=True)
        printed = capsys.readouterr().out.rstrip("\n")
        assert printed == shown(page, f"sublet coverage --at {at} -o wide")


def test_a_claim_whose_lease_ends_is_told_what_the_page_says(capsys: pytest.CaptureFixture[str]):
    claim = running(leased("west"))
    end = {"until_time": Millis(NOW + 5 * DAY_MS), "until_cause": ReleaseCause.LEASE_ENDED}
    allocation = claim.status.allocation
    assert allocation is not None
    status = claim.status.model_copy(update={"allocation": allocation.model_copy(update=end)})
    claim = claim.model_copy(update={"status": status})
    (notice,) = notices([claim], lambda _: as_class(), NOW)
    told = bound_status.expiring(claim, notice.reason, notice.message, NOW)

    explain(claim.model_copy(update={"status": told}), NOW, wide=True)

    printed = capsys.readouterr().out.rstrip("\n")
    assert printed == shown("docs/howto/lease-end.md", "sublet explain train -n acme -o wide")
