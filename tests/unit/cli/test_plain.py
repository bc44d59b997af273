"""Kubeconfigs that need no library to be read, and those that do."""

import base64
import os
import subprocess
import sys

import pytest
import yaml

from sublet.cli.plain import plain_endpoint
from tests.builders.pem import certificate_and_key

AUTHORITY, _ = certificate_and_key()
CA = base64.b64encode(AUTHORITY.encode()).decode()


def config(name="hub", server="https://127.0.0.1:1", user=None, **cluster):
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": server, "certificate-authority-data": CA, **cluster}}],
        "users": [{"name": name, "user": user or {"token": "t-1"}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": "acme"}}],
        "current-context": name,
    }  # fmt: skip


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write kubeconfigs and let KUBECONFIG name them in this order."""

    def written(*configs):
        paths = [tmp_path / str(i) for i in range(len(configs))]
        for path, each in zip(paths, configs, strict=True):
            path.write_text(yaml.safe_dump(each))
        monkeypatch.setenv("KUBECONFIG", os.pathsep.join(map(str, paths)))

    return written


def test_a_server_with_its_ca_and_a_token_is_plain(write):
    write(config())
    found = plain_endpoint("hub")

    assert (found.server, found.ca_pem, found.token()) == ("https://127.0.0.1:1", AUTHORITY, "t-1")


def test_the_first_file_that_has_an_entry_wins_as_with_kubectl(write):
    write(config(server="https://first"), config(server="https://second"))

    assert plain_endpoint("hub").server == "https://first"


def test_an_entry_may_stand_in_another_file_than_its_context(write):
    split = config()
    users = {"kind": "Config", "users": split.pop("users")}
    write(split, users)

    assert plain_endpoint("hub").token() == "t-1"


@pytest.mark.parametrize(
    "changed",
    [
        config(user={"exec": {"command": "aws"}}),
        config(user={"tokenFile": "/token"}),
        config(user={"token": "t", "client-certificate": "/cert"}),
        config(user={"token": "t", "as": "jane"}),
        config(**{"insecure-skip-tls-verify": True}),
        config(**{"proxy-url": "http://proxy"}),
        config(server="http://127.0.0.1:1"),
        {**config(), "users": []},
        {**config(), "clusters": "none"},
    ],
    ids=["exec", "token file", "certificate file", "acting", "unverified", "proxy", "no TLS", "no user", "nonsense"],
)  # fmt: skip
def test_everything_else_is_the_librarys(write, changed):
    write(changed)

    assert plain_endpoint("hub") is None


def test_of_a_plain_one_the_library_isnt_loaded(write):
    write(config())
    program = (
        "import sys; sys.argv = ['sublet', 'top']; from sublet.cli import main\n"
        "try: main()\nexcept SystemExit: print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # fmt: skip

    assert "doesn't answer" in done.stderr
    assert "kubernetes" not in done.stdout.split()
