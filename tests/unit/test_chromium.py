"""Where the tests' browser comes from: given, found, installed, or refused in one line."""

import os
import stat

import pytest

from tests.harness.chromium import NoBrowser, find_chromium


@pytest.fixture(autouse=True)
def machine(monkeypatch, tmp_path):
    """A machine with no program at all, where we are root; what a test puts into the folder is on its PATH."""
    for name in ("TEST_ASSET_CHROMIUM", "TEST_ASSET_CHROMEDRIVER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return tmp_path


def program(folder, name, text="") -> str:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_what_is_on_path_is_taken(machine):
    both = program(machine, "chromium"), program(machine, "chromedriver")

    assert find_chromium() == both


def test_what_is_given_goes_before_path(machine, monkeypatch):
    program(machine, "chromium")
    driver = program(machine, "chromedriver")
    monkeypatch.setenv("TEST_ASSET_CHROMIUM", program(machine, "mine"))

    assert find_chromium() == (str(machine / "mine"), driver)


def test_a_given_program_that_is_none_is_an_error(machine, monkeypatch):
    monkeypatch.setenv("TEST_ASSET_CHROMIUM", "/nowhere/chromium")

    with pytest.raises(NoBrowser, match="TEST_ASSET_CHROMIUM=/nowhere/chromium is no program"):
        find_chromium()


def test_root_installs_both_with_apt(machine):
    made = "\n".join(
        f"echo > {machine}/{name}; /bin/chmod +x {machine}/{name}"
        for name in ("chromium", "chromedriver")
    )
    program(
        machine, "apt-get", f'echo "$*" >> {machine}/asked; case "$*" in *install*) {made};; esac'
    )

    assert find_chromium() == (str(machine / "chromium"), str(machine / "chromedriver"))
    updated, installed = (machine / "asked").read_text().splitlines()
    assert updated.endswith("update")
    assert installed.endswith(
        "install -y --no-install-recommends chromium chromium-driver fonts-dejavu-core"
    )


@pytest.mark.parametrize("why", ["no root", "no apt", "apt fails", "apt lies"])
def test_without_a_browser_one_line_says_what_to_install(machine, monkeypatch, why):
    if why == "no root":
        monkeypatch.setattr(os, "geteuid", lambda: 1_000)
    if why == "apt fails":
        program(machine, "apt-get", "echo 'W: old' >&2; echo 'E: no network' >&2; exit 100")
    if why == "apt lies":
        program(machine, "apt-get")

    with pytest.raises(NoBrowser) as told:
        find_chromium()

    said = str(told.value)
    assert len(said.splitlines()) == 1
    assert "install chromium chromium-driver" in said
    assert ("E: no network" in said) is (why == "apt fails")
