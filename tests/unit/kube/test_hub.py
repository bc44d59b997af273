"""Where the hub is: a kubeconfig that isn't there is one line of ours, and nothing of a library's."""

import base64
import json
import logging
from pathlib import Path

import pytest

from sublet.kube.hub import hub_endpoint


async def test_without_a_kubeconfig_our_one_line_says_where_it_was_looked_for(
    monkeypatch, tmp_path, caplog
):
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/one:{tmp_path}/two")

    with caplog.at_level(logging.WARNING), pytest.raises(ValueError, match="kubeconfig") as said:
        await hub_endpoint()

    assert str(said.value) == (
        f"no usable kubeconfig: there is none at {tmp_path}/one:{tmp_path}/two; "
        "set KUBECONFIG or --context"
    )
    assert caplog.messages == []


async def test_a_kubeconfig_that_the_library_stumbles_over_is_our_one_line_too(
    monkeypatch, tmp_path
):
    (tmp_path / "odd").write_text("kind: Config\na: !!bool MY-SECRET\n")
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/odd")

    with pytest.raises(ValueError, match="no usable kubeconfig") as said:
        await hub_endpoint()

    assert "secret" not in str(said.value).lower()


async def test_an_empty_variable_means_the_usual_place(monkeypatch, tmp_path):
    monkeypatch.setenv("KUBECONFIG", "")
    monkeypatch.setenv("HOME", str(tmp_path))

    with pytest.raises(ValueError, match=r"there is none at ~/\.kube/config; set"):
        await hub_endpoint()


async def test_one_of_several_files_is_enough(monkeypatch, tmp_path):
    (tmp_path / "two").write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: hub\n"
        "clusters: [{name: hub, cluster: {server: 'https://hub.example'}}]\n"
        "contexts: [{name: hub, context: {cluster: hub, user: me}}]\n"
        "users: [{name: me, user: {token: secret}}]\n"
    )
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/one:{tmp_path}/two")

    assert (await hub_endpoint()).server == "https://hub.example"


@pytest.mark.parametrize("data", ["!!!no-base64-SECRET", "gICA"], ids=["no base64", "no text"])
async def test_a_field_that_is_no_certificate_is_named_with_its_place(monkeypatch, tmp_path, data):
    (tmp_path / "garbled").write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: hub\n"
        f"clusters: [{{name: west, cluster: {{server: 'https://hub.example', certificate-authority-data: '{data}'}}}}]\n"
        "contexts: [{name: hub, context: {cluster: west, user: me}}]\n"
        "users: [{name: me, user: {token: secret}}]\n"
    )
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/garbled")

    with pytest.raises(ValueError, match="no usable kubeconfig") as said:
        await hub_endpoint()

    assert str(said.value) == (
        f"no usable kubeconfig: certificate-authority-data of cluster west in {tmp_path}/garbled "
        "is not base64 of a PEM text; set KUBECONFIG or --context"
    )


def write_kubeconfig(folder: Path, user: str, cluster: str = "") -> str:
    """Write a kubeconfig with these fields of its user and its cluster, and return its path."""
    path = folder / "kubeconfig"
    path.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: hub\n"
        f"clusters: [{{name: west, cluster: {{server: 'https://hub.example'{cluster}}}}}]\n"
        "contexts: [{name: hub, context: {cluster: west, user: me}}]\n"
        f"users: [{{name: me, user: {{{user}}}}}]\n"
    )
    return str(path)


async def test_whom_the_user_acts_as_is_theirs_to_say(tmp_path):
    kubeconfig = write_kubeconfig(tmp_path, "token: secret, as: jane, as-groups: [dev]")

    found = await hub_endpoint(kubeconfig=kubeconfig)
    assert found.identity() == [
        ("Authorization", "Bearer secret"),
        ("Impersonate-User", "jane"),
        ("Impersonate-Group", "dev"),
    ]


async def test_what_isnt_supported_is_named_before_a_program_is_run_for_it(tmp_path):
    program = f"exec: {{apiVersion: v1, command: touch, args: [{tmp_path}/ran]}}"
    kubeconfig = write_kubeconfig(tmp_path, f"{program}, as-groups: [dev]")

    with pytest.raises(
        ValueError, match=r"usable kubeconfig: as-uid, .* need `as` beside them; set"
    ):
        await hub_endpoint(kubeconfig=kubeconfig)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("url", ["http://me:secret@proxy.example:3128", "https://proxy.example"])
async def test_the_clusters_proxy_is_gone_through(tmp_path, url):
    kubeconfig = write_kubeconfig(tmp_path, "token: secret", f", proxy-url: '{url}'")

    found = await hub_endpoint(kubeconfig=kubeconfig)
    assert found.proxy == url
    assert "me:secret" not in repr(found)


@pytest.mark.parametrize("url", ["socks5://me:hidden@proxy.example", "proxy.example:3128", "http://", "http://[::1", "7"])  # fmt: skip
async def test_another_kind_of_proxy_is_named_without_its_password(tmp_path, url):
    kubeconfig = write_kubeconfig(tmp_path, "token: secret", f", proxy-url: '{url}'")

    with pytest.raises(ValueError, match="usable kubeconfig: proxy-url") as said:
        await hub_endpoint(kubeconfig=kubeconfig)
    assert str(said.value) == (
        "no usable kubeconfig: proxy-url of a cluster must begin with http:// or https:// and name a host (SOCKS isn't "
        "supported); set KUBECONFIG or --context"
    )


async def test_a_server_that_isnt_to_be_verified_is_refused(tmp_path):
    kubeconfig = write_kubeconfig(tmp_path, "token: secret", ", insecure-skip-tls-verify: true")

    with pytest.raises(ValueError, match="usable kubeconfig: insecure-skip-tls-verify") as said:
        await hub_endpoint(kubeconfig=kubeconfig)
    assert str(said.value) == (
        "no usable kubeconfig: insecure-skip-tls-verify of a cluster isn't supported: take it out, and put the server's CA into "
        "certificate-authority-data; set KUBECONFIG or --context"
    )


async def test_a_server_that_is_to_be_verified_may_say_so(tmp_path):
    kubeconfig = write_kubeconfig(tmp_path, "token: secret", ", insecure-skip-tls-verify: false, proxy-url: ''")  # fmt: skip

    assert (await hub_endpoint(kubeconfig=kubeconfig)).proxy is None


async def test_a_program_is_asked_for_another_token_where_the_last_one_was_refused(tmp_path):
    counting = tmp_path / "counting"
    counting.write_text(
        f"#!/bin/sh\necho x >> {tmp_path}/asked\n"
        f"n=$(grep -c x {tmp_path}/asked)\n"
        """echo '{"apiVersion": "v1", "kind": "ExecCredential", "status": {"token": "t-'"$n"'"}}'\n"""
    )
    counting.chmod(0o755)
    program = f"exec: {{apiVersion: v1, command: {counting}}}"
    found = await hub_endpoint(kubeconfig=write_kubeconfig(tmp_path, program))

    shown = found.identity()
    assert await found.renewed(shown)
    assert await found.renewed(shown)
    assert (shown, found.identity()) == (
        [("Authorization", "Bearer t-1")],
        [("Authorization", "Bearer t-2")],
    )


async def test_a_tokens_file_is_read_again_where_the_token_was_refused(tmp_path):
    (tmp_path / "token").write_text("t-1")
    found = await hub_endpoint(kubeconfig=write_kubeconfig(tmp_path, "tokenFile: token"))
    (tmp_path / "token").write_text("t-2")

    assert await found.renewed(found.identity())
    assert found.identity() == [("Authorization", "Bearer t-2")]
    assert not await found.renewed(found.identity())


def write_contexts(folder: Path, current: str, token: str = "t-1", **hub: str) -> str:
    """Write a kubeconfig with contexts of the hub, as it is with these fields, and of a leased cluster; return its path."""
    path = folder / "kubeconfig"
    cluster = {"server": "https://hub.example", **hub}
    west = {"server": "https://west.example"}
    names = ("hub", "west")
    path.write_text(
        json.dumps(
            {
                "current-context": current,
                "clusters": [{"name": n, "cluster": c} for n, c in zip(names, (cluster, west), strict=True)],
                "users": [{"name": n, "user": {"token": t}} for n, t in zip(names, (token, "wests"), strict=True)],
                "contexts": [{"name": n, "context": {"cluster": n, "user": n}} for n in names],
            }
        )
    )  # fmt: skip
    return str(path)


async def test_another_current_context_changes_nothing_about_whose_token_the_hub_is_shown(tmp_path):
    found = await hub_endpoint(kubeconfig=write_contexts(tmp_path, "hub"))
    shown = found.identity()
    write_contexts(tmp_path, "west", token="t-2")

    assert await found.renewed(shown)
    assert found.identity() == [("Authorization", "Bearer t-2")]


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"server": "https://other.example"},
        {"tls-server-name": "other"},
        {"proxy-url": "http://proxy.example"},
        {"certificate-authority-data": base64.b64encode(b"another CA").decode()},
    ],
    ids=lambda fields: next(iter(fields)),
)
async def test_the_token_for_another_server_is_not_shown_to_the_hub(tmp_path, elsewhere):
    found = await hub_endpoint(kubeconfig=write_contexts(tmp_path, "hub"))
    shown = found.identity()
    write_contexts(tmp_path, "hub", token="others", **elsewhere)

    assert not await found.renewed(shown)
    assert found.identity() == shown
