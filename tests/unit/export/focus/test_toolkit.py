"""The community's linter of FOCUS 1.4 finds nothing in our files, each by itself and all together."""

import csv
import gzip
from dataclasses import replace

import pytest
from focus_data_toolkit.model.validator import lint_focus_1_4_structure
from focus_data_toolkit.validate.bundle import validate_dataset_bundle

from sublet.export.focus.account import CreditsAs, Seller
from sublet.export.focus.contracts import Profile
from sublet.export.focus.corrected import Corrected
from sublet.export.focus.landlords import LeasePeriod
from sublet.export.focus.run import Layout, export_tenant, export_wholesale
from sublet.export.sink.directory import Directory
from sublet.rating.model import LeaseState
from tests.builders.charges import WEST, account, books, cells, everything, hour, period

CONDITIONS = ("SupportsMultiplePricingCategories", "SupportsUnitPricing")


def datasets(folder):
    """Return the rows of every data set of a folder."""
    found = {}
    for path in sorted(folder.rglob("*.csv.gz")):
        with gzip.open(path, "rt", newline="") as file:
            found[path.name.rsplit("-", 1)[0].replace("-", " ").title().replace("And", "and")] = list(csv.DictReader(file))  # fmt: skip
    return found


def tenant(root, credits_as):
    """Write a tenant's files of 1.4 as CSV."""
    seller = Seller("Sublet GmbH", credits_as=credits_as)
    export_tenant(Directory(root), books(), account(seller=seller), everything(), Layout(formats=("csv",)))  # fmt: skip
    return datasets(root)


def wholesale(root, profile):
    """Write wholesale files of 1.4 as CSV."""
    layout = Layout(formats=("csv",), profile=profile)
    asked = period(as_of_ms=hour(4))
    found = [*cells(0), *cells(1, used=60, down=4), *cells(2, used=64, beyond=8), *cells(3, holding="1.5")]  # fmt: skip
    less = replace(found[0], gpu_milliseconds=-found[0].gpu_milliseconds, amount=-found[0].amount)
    corrections = [Corrected("2026-08", [less, replace(less, state=LeaseState.BEYOND)], ())]
    made = LeasePeriod(WEST, asked, found, corrections=corrections)
    export_wholesale(Directory(root), books(), asked, [made], layout)
    return datasets(root)


def lint(found):
    """Return what the linter says of every data set."""
    return [
        message
        for name, rows in found.items()
        for message in lint_focus_1_4_structure(
            name, rows, supported_conditions=CONDITIONS
        ).messages()
    ]


@pytest.mark.parametrize("credits_as", CreditsAs)
def test_tenant_files_are_clean(tmp_path, credits_as):
    found = tenant(tmp_path, credits_as)
    assert set(found) == {"Cost and Usage", "Invoice Detail", "Billing Period"}
    assert lint(found) == []


@pytest.mark.parametrize("profile", Profile)
def test_wholesale_files_are_clean(tmp_path, profile):
    found = wholesale(tmp_path, profile)
    assert set(found) == {"Cost and Usage", "Contract Commitment", "Billing Period"}
    assert lint(found) == []


def test_the_data_sets_of_an_audience_fit_together(tmp_path):
    for found in (tenant(tmp_path / "t", CreditsAs.ADJUSTMENT), wholesale(tmp_path / "w", Profile.CAPACITY_RESERVATION)):  # fmt: skip
        report = validate_dataset_bundle(found)
        assert [d.message for d in (*report.errors, *report.warnings)] == []


def test_the_linter_is_awake(tmp_path):
    found = tenant(tmp_path, CreditsAs.ADJUSTMENT)
    found["Cost and Usage"][0]["ChargeCategory"] = "Refund"
    assert any("ChargeCategory" in message for message in lint(found))
