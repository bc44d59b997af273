"""Whole exports into a directory: same bytes, manifest last, nothing half, both versions and formats."""

import csv
import gzip
import hashlib
import json
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from sublet.export.focus import run
from sublet.export.focus.audit import audit
from sublet.export.focus.columns import Version
from sublet.export.focus.contracts import Profile
from sublet.export.focus.landlords import LeasePeriod
from sublet.export.focus.parquet_file import ParquetFile
from sublet.export.focus.run import Layout, export_tenant, export_wholesale
from sublet.export.sink.directory import Directory
from sublet.export.sink.port import SinkFailed
from tests.builders.charges import (
    LANDLORD_WORDS,
    WEST,
    account,
    books,
    cells,
    charge,
    everything,
    hour,
    period,
)

BOTH = Layout(formats=("parquet", "csv"))
FOLDER = "tenants/acme/2026-09/focus-1.4"


def tenant(root, charges=None, layout=BOTH):
    """Write acme's files and return the folder."""
    given = everything() if charges is None else charges
    export_tenant(Directory(root), books(), account(), given, layout)
    return root / f"tenants/acme/2026-09/focus-{layout.version.value}"


def wholesale(root, layout=BOTH, hours=3):
    """Write the wholesale files of some hours and return the folder."""
    asked = period(as_of_ms=hour(hours))
    found = [cell for at in range(hours) for cell in cells(at, used=40 + at, down=at)]
    export_wholesale(Directory(root), books(), asked, [LeasePeriod(WEST, asked, found)], layout)
    return root / f"wholesale/2026-09/focus-{layout.version.value}"


def contents(folder):
    """Return the bytes of every file."""
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


def of(folder, dataset, suffix):
    """Return the file of a data set."""
    [path] = folder.glob(f"{dataset}-*.{suffix}")
    return path


@pytest.mark.parametrize("write", [tenant, wholesale])
@pytest.mark.parametrize("version", Version)
def test_the_same_input_gives_the_same_bytes(tmp_path, write, version):
    layout = Layout(version=version, formats=("parquet", "csv"))
    assert contents(write(tmp_path / "a", layout=layout)) == contents(write(tmp_path / "b", layout=layout))  # fmt: skip


def test_the_order_in_which_charges_come_changes_no_byte(tmp_path):
    backwards = tenant(tmp_path / "b", list(reversed(everything())))
    assert contents(tenant(tmp_path / "a")) == contents(backwards)


@pytest.mark.parametrize("version", Version)
def test_our_own_checks_find_nothing_in_our_own_files(tmp_path, version):
    for profile in Profile:
        layout = Layout(version=version, profile=profile)
        assert list(audit(wholesale(tmp_path / profile.value, layout=layout))) == []
    assert list(audit(tenant(tmp_path, layout=Layout(version=version)))) == []


def test_the_manifest_names_every_file_and_the_ledgers_head(tmp_path):
    folder = tenant(tmp_path)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    assert manifest["ledger"] == {"seq": 4711, "hash": "ab" * 32}
    assert manifest["period"] == {
        "month": "2026-09",
        "start": "2026-09-01T00:00:00Z",
        "end": "2026-10-01T00:00:00Z",
        "status": "Open",
    }
    named = {f["name"]: f["sha256"] for f in manifest["files"]}
    found = {n: hashlib.sha256(b).hexdigest() for n, b in contents(folder).items()}
    assert named == {n: h for n, h in found.items() if n != "manifest.json"}
    assert {(f["dataset"], f["rows"]) for f in manifest["files"]} == {
        ("Cost and Usage", 14),
        ("Invoice Detail", 9),
        ("Billing Period", 1),
    }


def test_a_file_that_was_changed_or_is_gone_is_found(tmp_path):
    folder = tenant(tmp_path)
    of(folder, "invoice-detail", "csv.gz").write_bytes(b"something else")
    of(folder, "billing-period", "parquet").unlink()
    faults = "\n".join(audit(folder))
    assert "isn't the file that was written" in faults
    assert "can't be read: No such file" in faults


def test_parquet_and_csv_say_the_same(tmp_path):
    folder = tenant(tmp_path)
    table = pq.read_table(of(folder, "cost-and-usage", "parquet"))
    with gzip.open(of(folder, "cost-and-usage", "csv.gz"), "rt", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["ResourceId"] or None for line in lines] == table.column("ResourceId").to_pylist()
    costs = table.column("BilledCost").to_pylist()
    assert [type(c)(line["BilledCost"]) for c, line in zip(costs, lines, strict=True)] == costs
    assert all("." in line["BilledCost"] and "E" not in line["BilledCost"] for line in lines)
    assert lines[0]["BillingPeriodStart"] == "2026-09-01T00:00:00Z"


def test_csv_carries_no_time_of_writing(tmp_path):
    packed = of(tenant(tmp_path), "cost-and-usage", "csv.gz").read_bytes()
    assert packed[4:8] == bytes(4)


def test_readers_of_1_2_get_its_columns_and_their_names(tmp_path):
    folder = tenant(tmp_path, layout=Layout(version=Version.V1_2))
    names = pq.read_schema(of(folder, "cost-and-usage", "parquet")).names
    assert {"ProviderName", "PublisherName", "Tags", "CommitmentDiscountId"} <= set(names)
    assert not {"ServiceProviderName", "HostProviderName", "ContractApplied", "InvoiceDetailId"} & set(names)  # fmt: skip
    assert [n for n in names if not n.startswith("x_")] == sorted(n for n in names if not n.startswith("x_"))  # fmt: skip


def test_many_rows_are_written_part_by_part(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "PART", 10)
    charges = (charge(at) for at in range(25))
    path = of(tenant(tmp_path, charges), "cost-and-usage", "parquet")
    assert pq.ParquetFile(path).metadata.num_row_groups == 3
    assert pq.read_table(path).num_rows == 25


def test_no_file_of_a_tenant_holds_a_word_of_a_landlord(tmp_path):
    for version in Version:
        layout = Layout(version=version, formats=("parquet", "csv"))
        for path in tenant(tmp_path, layout=layout).iterdir():
            data = path.read_bytes()
            if path.suffix == ".parquet":
                data = repr(pq.read_table(path).to_pydict()).encode()
            elif path.suffix == ".gz":
                data = gzip.decompress(data)
            found = [w for w in LANDLORD_WORDS if w.lower().encode() in data.lower()]
            assert found == [], path.name


def test_a_period_that_is_written_again_leaves_only_its_new_files(tmp_path):
    tenant(tmp_path, [charge(0)])
    assert only_its_own(tenant(tmp_path))


class Refusing(Directory):
    """A directory that refuses from the nth file on."""

    def __init__(self, root: Path, allowed: int) -> None:
        super().__init__(root)
        self._allowed = allowed

    def keep(self, draft: Path, name: str) -> None:
        """Keep a file, or not."""
        if self._allowed == 0:
            raise SinkFailed(f"{name} was not written: refused")
        self._allowed -= 1
        super().keep(draft, name)


def only_its_own(folder):
    """Say whether a folder holds what its manifest names, and nothing else."""
    named = {f["name"] for f in json.loads((folder / "manifest.json").read_bytes())["files"]}
    return {p.name for p in folder.iterdir()} == {*named, "manifest.json"}


@pytest.mark.parametrize("allowed", range(8))
def test_wherever_an_export_breaks_off_the_old_one_is_still_whole(tmp_path, allowed):
    folder = tenant(tmp_path, [charge(0)])
    before = contents(folder)
    with pytest.raises(SinkFailed, match="refused"):
        export_tenant(Refusing(tmp_path, allowed), books(), account(), everything(), BOTH)
    after = contents(folder)
    assert {name: after[name] for name in before} == before
    assert list(audit(folder)) == []
    assert list(tmp_path.glob(".draft-*")) == []


@pytest.mark.parametrize("allowed", range(8))
def test_what_a_broken_off_export_left_the_next_one_takes_away(tmp_path, allowed):
    with pytest.raises(SinkFailed, match="refused"):
        export_tenant(Refusing(tmp_path, allowed), books(), account(), everything(), BOTH)
    with pytest.raises(SinkFailed, match="refused"):
        export_tenant(Refusing(tmp_path, allowed), books(), account(), [charge(1)], BOTH)
    assert only_its_own(tenant(tmp_path, [charge(0)]))


def test_a_disk_that_fills_while_rows_are_written_is_one_plain_error(tmp_path, monkeypatch):
    folder = tenant(tmp_path, [charge(0)])
    before = contents(folder)

    class Full(ParquetFile):
        def write(self, table):
            raise OSError(28, os.strerror(28))

    monkeypatch.setitem(run.FORMATS, "parquet", Full)
    with pytest.raises(SinkFailed, match="can't be written to: No space left on device"):
        tenant(tmp_path)
    assert contents(folder) == before
    assert list(tmp_path.glob(".draft-*")) == []


def test_a_month_without_charges_is_an_export_too(tmp_path):
    folder = tenant(tmp_path, [])
    manifest = json.loads((folder / "manifest.json").read_bytes())
    assert {f["rows"] for f in manifest["files"] if f["dataset"] == "Cost and Usage"} == {0}
    assert list(audit(folder)) == []


def test_a_disk_that_is_full_when_the_manifest_is_due_is_said_and_changes_nothing(
    tmp_path, monkeypatch
):
    before = contents(tenant(tmp_path, layout=Layout()))

    def full(*_):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(SinkFailed, match="can't be written to: No space left on device"):
        tenant(tmp_path, [charge(at=0)], layout=Layout())
    assert contents(tmp_path / FOLDER) == before
