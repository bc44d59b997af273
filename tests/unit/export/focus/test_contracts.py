"""Each lease's commitment in steps: every row counts against one that is there, in its own time and within the contract's."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings, strategies as st

from sublet.api.times import MS_PER_HOUR, Millis, format_instant
from sublet.export.focus import sums
from sublet.export.focus.audit import audit
from sublet.export.focus.batch import Months, Side, Style
from sublet.export.focus.contracts import Profile, contract_commitments
from sublet.export.focus.run import Layout
from sublet.export.focus.wholesale import WholesaleRows
from sublet.export.sink.directory import Directory
from sublet.rating.grid import Grid
from tests.builders.billing import Journal
from tests.builders.charges import WEST, cells, hour, lease_terms, period
from tests.builders.wholesale import at

START = at("2026-09-01T00:00:00Z")
LATER = at("2026-10-05T00:00:00Z")
TERM = {"startTime": "2026-09-10T00:00:00Z", "endTime": "2026-09-28T00:00:00Z"}
PRICES = [{"effectiveTime": "2026-01-01T00:00:00Z", "perGpuHour": "2"}]


def phase(number: str, start: str, gpus: int) -> dict[str, Any]:
    return {"commitmentId": number, "startTime": start, "gpus": gpus}


def option(start: str, gpus: int) -> dict[str, Any]:
    return {"exerciseByTime": start, "startTime": start, "gpus": gpus, "exercised": True}


def journal(*texts: tuple[str, dict[str, Any]]) -> Journal:
    """Return a ledger in which a lease said something else from some instants on, and a claim had 8 of its GPUs for a day."""
    made = Journal()
    made.tenant()
    for when, spec in texts:
        made.lease("west", when=when, prices=PRICES, **spec)
    made.reserved("c")
    made.held("c", "2026-09-12T00:00:00Z", "2026-09-13T00:00:00Z", gpus=8)
    return made


def exported(made: Journal, folder: Path, grid: Grid = Grid.DAY) -> Path:
    """Return where September's wholesale files were written."""
    style = Style("Sublet GmbH", Layout(), grid)
    list(Months(Directory(folder), made.books(), style, LATER).export("2026-09", Side.WHOLESALE))
    return folder / "wholesale/2026-09/focus-1.4"


def commitments(folder: Path) -> list[tuple[str, str, str, int]]:
    """Return which commitments there are, from when until when, of how many GPUs."""
    [path] = folder.glob("contract-commitment-*")
    return [
        (
            r["ContractCommitmentId"],
            f"{r['ContractCommitmentPeriodStart']:%d %H:%M}",
            f"{r['ContractCommitmentPeriodEnd']:%d %H:%M}",
            int(r["ContractCommitmentQuantity"]),
        )
        for r in pq.read_table(path).to_pylist()
    ]


STEPS: dict[str, tuple[list[tuple[str, dict[str, Any]]], list[tuple[str, str, str, int]]]] = {
    "a phase that begins before the term begins with it": (
        [("2026-08-01T00:00:00Z", {"phases": [phase("p1", "2026-09-01T00:00:00Z", 8)]})],
        [("C-west/west/p1", "10 00:00", "28 00:00", 8)],
    ),
    "a phase that is over before the term is none": (
        [
            (
                "2026-08-01T00:00:00Z",
                {
                    "phases": [
                        phase("p1", "2026-08-01T00:00:00Z", 8),
                        phase("p2", "2026-09-05T00:00:00Z", 16),
                    ]
                },
            )
        ],
        [("C-west/west/p2", "10 00:00", "28 00:00", 16)],
    ),
    "options before the first phase are a step of their own": (
        [
            (
                "2026-08-01T00:00:00Z",
                {
                    "phases": [phase("p1", "2026-09-15T00:00:00Z", 8)],
                    "options": [option("2026-09-05T00:00:00Z", 4)],
                },
            )
        ],
        [
            ("C-west/west/options", "10 00:00", "15 00:00", 4),
            ("C-west/west/p1", "15 00:00", "28 00:00", 12),
        ],
    ),
    "a phase that is changed is another from then on": (
        [
            ("2026-08-01T00:00:00Z", {"phases": [phase("p1", "2026-09-01T00:00:00Z", 8)]}),
            ("2026-09-20T12:30:00Z", {"phases": [phase("p1", "2026-09-01T00:00:00Z", 4)]}),
        ],
        [
            ("C-west/west/p1", "10 00:00", "20 12:30", 8),
            ("C-west/west/p1/2026-09-20T12:30:00Z", "20 12:30", "28 00:00", 4),
        ],
    ),
}


@pytest.mark.parametrize("case", STEPS)
def test_each_step_is_one_commitment_within_the_contract(case: str, tmp_path: Path):
    texts, expected = STEPS[case]
    made = journal(*((when, {"term": TERM, "commitment": said}) for when, said in texts))

    folder = exported(made, tmp_path)

    assert commitments(folder) == expected
    assert list(audit(folder)) == []


def test_rows_that_count_against_no_commitment_are_said():
    rows = WholesaleRows(lease_terms(), period(), Profile.CAPACITY_RESERVATION).table(
        cells(phase="ph9")
    )
    known = contract_commitments({WEST: lease_terms()}, hour(0), Profile.CAPACITY_RESERVATION)

    [fault] = sums.commitments(rows, known, hour(0))
    assert (
        fault
        == f"lease {WEST}: rows count against phase 'ph9', which Contract Commitment doesn't have"
    )


def instant(hours: int) -> str:
    return format_instant(Millis(START + hours * MS_PER_HOUR))


instants = st.integers(-240, 840).map(instant)
options = st.dictionaries(instants, st.sampled_from([1, 5]), max_size=2)


@st.composite
def edited(draw: st.DrawFn) -> list[tuple[str, dict[str, Any]]]:
    """Return a contract, and what becomes of it by an edit: what can't change stays."""
    begins, mode = draw(st.integers(-240, 840)), draw(st.sampled_from(["TakeOrPay", "PayAsYouGo"]))
    found: list[tuple[str, dict[str, Any]]] = []
    exercised: dict[str, int] = {}
    for when in ("2026-01-01T00:00:00Z", draw(instants)):
        term = {"startTime": instant(begins)}
        if draw(st.booleans()):
            term["endTime"] = instant(begins + draw(st.integers(1, 480)))
        exercised = draw(options) | exercised
        steps = draw(
            st.dictionaries(instants, st.sampled_from([0, 3, 8, 64]), min_size=1, max_size=4)
        )
        commitment = {
            "mode": mode,
            "phases": [phase(f"p{i}", at_, gpus) for i, (at_, gpus) in enumerate(steps.items())],
            "options": [option(at_, gpus) for at_, gpus in exercised.items()],
        }
        found.append((when, {"term": term, "commitment": commitment}))
    return found


@settings(max_examples=40)
@given(edited())
def test_every_row_counts_against_a_commitment_that_is_there(
    tmp_path_factory: pytest.TempPathFactory, texts: list[tuple[str, dict[str, Any]]]
):
    folder = exported(journal(*texts), tmp_path_factory.mktemp("files"))

    assert list(audit(folder)) == []
    ids = [each[0] for each in commitments(folder)]
    assert len(set(ids)) == len(ids)
