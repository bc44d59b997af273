"""Settings that say something together, and what a wrong one says."""

import pytest

from sublet.export.sink.target import sink_of
from sublet.settings import load_settings


def test_an_export_target_needs_a_seller_and_says_so_in_one_line(monkeypatch):
    monkeypatch.setenv("SUBLET_EXPORT_TARGET", "/var/lib/sublet/focus")
    with pytest.raises(ValueError, match=r"^SUBLET_EXPORT_SELLER must say who sells"):
        load_settings()

    monkeypatch.setenv("SUBLET_EXPORT_SELLER", "Sublet GmbH")
    assert load_settings().export_hour == 1


@pytest.mark.parametrize(
    ("variable", "value"), [("SUBLET_EXPORT_FORMATS", "xlsx"), ("SUBLET_LOG_FORMAT", "text")]
)
def test_a_wrong_value_names_its_variable(monkeypatch, variable: str, value: str):
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValueError, match=rf"^{variable}: "):
        load_settings()


@pytest.mark.parametrize("name", ["SUBLET_EVENTS_URL", "SUBLET_EXPORT_ENDPOINT", "SUBLET_HUB_TENANT_SERVER"])  # fmt: skip
@pytest.mark.parametrize("url", ["http://[::1/x", "http://user:secret@host:99999", "http:///x"])
def test_a_url_without_a_host_is_said_in_one_line_and_without_its_secrets(monkeypatch, name, url):
    monkeypatch.setenv(name, url)
    with pytest.raises(ValueError, match=rf"^{name}: a URL with a host") as said:
        load_settings()

    assert "secret" not in str(said.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (
            "SUBLET_IDENTITY",
            "",
        ),  # a Lease that is free has the same holder: every replica would lead
        ("SUBLET_NAMESPACE", ""),
        ("SUBLET_NAMESPACE", "kube/system"),
        ("SUBLET_HUB_TENANT_SERVER", "htps:/nowhere"),
        ("SUBLET_HUB_TENANT_SERVER", "203.0.113.7:6443"),
        ("SUBLET_LEASE_SECONDS", "inf"),
        ("SUBLET_PROBE_SECONDS", "nan"),
    ],
)
def test_what_no_operator_could_run_with_is_said_at_the_start(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=f"^{name}: "):
        load_settings()


@pytest.mark.parametrize("url", ["sqlite:", "sqlite://", "sqlite:///", "sqlite:///:memory:"])
def test_a_ledger_that_would_be_lost_at_the_next_start_is_refused(monkeypatch, url):
    monkeypatch.setenv("SUBLET_DATABASE_URL", url)
    with pytest.raises(ValueError, match=r"^SUBLET_DATABASE_URL: without a file the ledger would"):
        load_settings()


def test_two_servers_cant_have_one_port_which_is_said_in_one_line(monkeypatch):
    monkeypatch.setenv("SUBLET_LISTEN_PORT", "8081")
    with pytest.raises(ValueError, match=r"^SUBLET_LISTEN_PORT and SUBLET_ADMIN_PORT must differ"):
        load_settings()

    monkeypatch.setenv("SUBLET_LISTEN_PORT", "0")
    monkeypatch.setenv("SUBLET_ADMIN_PORT", "0")
    assert load_settings().admin_port == 0


@pytest.mark.parametrize(
    "target",
    ["gs://b/x", "s3://b", "s3://finance/../x", "s3://finance/a//b", "focus", "./focus", "~/focus", " "],
)  # fmt: skip
def test_a_target_that_is_no_place_for_files_is_said_at_the_start(monkeypatch, target):
    monkeypatch.setenv("SUBLET_EXPORT_TARGET", target)
    with pytest.raises(ValueError, match=r"^SUBLET_EXPORT_TARGET: give the whole path of a dir"):
        load_settings()


@pytest.mark.parametrize(
    "target", ["", "/data/focus", "s3://finance", "s3://finance/", "s3://finance/sublet/2026/"]
)
def test_a_target_that_is_taken_is_a_place_for_files(monkeypatch, target):
    monkeypatch.setenv("SUBLET_EXPORT_TARGET", target)
    monkeypatch.setenv("SUBLET_EXPORT_SELLER", "Sublet GmbH")

    assert load_settings().export_target == target
    assert not target or sink_of(target)
