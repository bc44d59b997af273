"""The Foundation's validator on the 1.2 files: it fails nothing but what it is known to fail on files that are right.

It ends with status 0 whatever it finds, so its report is read. It opens its list of currencies by a path relative to the
folder that it is installed in, so it runs there. It needs Python 3.12 or newer.
"""

import re
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sublet.export.focus.columns import Version
from sublet.export.focus.contracts import Profile
from sublet.export.focus.landlords import LeasePeriod
from sublet.export.focus.run import Layout, export_tenant, export_wholesale
from sublet.export.sink.directory import Directory
from tests.builders.charges import WEST, account, books, cells, everything, hour, period
from tests.harness.apart import find, newer_python

PYTHON = newer_python(12)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        PYTHON is None,
        reason="focus-validator 2.2.1 needs Python 3.12 or newer, and none is at hand",
    ),
]

KNOWN = {
    "CapacityReservationStatus-C-003-C",  # wants null where no capacity is unused, also beside an id
    "CapacityReservationStatus-C-004-C",  # wants a status on rows without a reservation
    "CommitmentDiscountStatus-C-004-C",  # wants a status on a purchase, whose status FOCUS says is null
    "InvoiceId-C-004-C",  # wants null on every row, whether it stands on an invoice or not …
    "InvoiceId-C-005-C",  # … and this one a value on every row
}
"""Rules that fail on files that are right; the reports that contain them are known to its makers."""


@pytest.fixture(scope="module")
def program():
    """Return the validator."""
    return find("focus-validator", "focus-validator", PYTHON)


def failed(program: Path, file: Path) -> set[str]:
    """Return the rules that fail by themselves, not because of others."""
    home = next(program.parent.parent.glob("lib/python3.*/site-packages"))
    done = subprocess.run(
        [program, "--data-file", file, "--validate-version", "1.2.0.1", "--block-download", "--applicability-criteria", "ALL"],
        cwd=home,
        capture_output=True,
        text=True,
        check=True,
    )  # fmt: skip
    assert re.search(r"Total: \d+ \| Pass: \d{3}", done.stdout), done.stdout[-2_000:]
    lines = re.findall(r"❌ ([\w-]+): FAIL (.*)", done.stdout)
    return {rule for rule, why in lines if "failed child rules" not in why and "all child rules failed" not in why}  # fmt: skip


def test_tenant_files_fail_nothing_but_what_is_known(program, tmp_path):
    layout = Layout(version=Version.V1_2)
    export_tenant(Directory(tmp_path), books(), account(), everything(), layout)
    [file] = tmp_path.rglob("cost-and-usage-*.parquet")
    assert failed(program, file) - KNOWN == set()


def test_the_validator_is_awake(program, tmp_path):
    export_tenant(
        Directory(tmp_path), books(), account(), everything(), Layout(version=Version.V1_2)
    )
    [file] = tmp_path.rglob("cost-and-usage-*.parquet")
    table = pq.read_table(file)
    at = table.column_names.index("BillingCurrency")
    pq.write_table(
        table.set_column(at, "BillingCurrency", pa.array(["usd"] * table.num_rows)), file
    )
    assert any("Currency" in rule for rule in failed(program, file) - KNOWN)


@pytest.mark.parametrize("profile", Profile)
def test_wholesale_files_fail_nothing_but_what_is_known(program, tmp_path, profile):
    layout = Layout(version=Version.V1_2, profile=profile)
    found = [*cells(0), *cells(1, used=60, down=4), *cells(2, used=64, beyond=8)]
    asked = period(as_of_ms=hour(3))
    export_wholesale(Directory(tmp_path), books(), asked, [LeasePeriod(WEST, asked, found)], layout)
    [file] = tmp_path.rglob("cost-and-usage-*.parquet")
    assert failed(program, file) - KNOWN == set()
