"""A leased cluster's kubeconfig is hostile input."""

import contextlib

import pytest
import yaml
from hypothesis import given, strategies as st

from sublet.fleet.kubeconfig import MAX_BYTES, KubeconfigRefused
from sublet.kube.addresses import is_local_address
from tests.builders.kubeconfigs import CERTIFICATE, HUB, KEY, PEM, b64, config, parse
from tests.builders.pem import certificate_and_key

JUNK = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"


def test_a_plain_token_kubeconfig_is_accepted():
    endpoint = parse(config())

    assert endpoint.server == "https://west.example:6443"
    assert endpoint.token is not None
    assert endpoint.token() == "secret-token"


@pytest.mark.parametrize(
    ("cluster", "user", "field"),
    [
        ({}, {"exec": {"command": "sh"}}, "users[].user.exec"),
        ({}, {"auth-provider": {"name": "x"}}, "users[].user.auth-provider"),
        ({}, {"tokenFile": "/etc/passwd"}, "users[].user.tokenFile"),
        ({}, {"token": "t", "as": "root"}, "users[].user.as"),
        ({}, {"username": "a"}, "users[].user.username"),
        ({}, {}, "users[].user"),
        ({}, {"token": "two\nlines"}, "users[].user.token"),
        ({"insecure-skip-tls-verify": True}, None, "clusters[].cluster.insecure-skip-tls-verify"),
        ({"certificate-authority": "/ca"}, None, "clusters[].cluster.certificate-authority"),
        ({"proxy-url": "http://p"}, None, "clusters[].cluster.proxy-url"),
        ({"server": "http://west"}, None, "clusters[].cluster.server"),
        ({"server": "https://user:pw@west"}, None, "clusters[].cluster.server"),
        ({"server": "https://169.254.169.254"}, None, "clusters[].cluster.server"),
        ({"server": "https://[::ffff:127.0.0.1]"}, None, "clusters[].cluster.server"),
        ({"server": "https://localhost:1"}, None, "clusters[].cluster.server"),
        ({"server": HUB}, None, "clusters[].cluster.server"),
        (
            {"certificate-authority-data": "%%"},
            None,
            "clusters[].cluster.certificate-authority-data",
        ),
        (
            {"certificate-authority-data": b64(JUNK)},
            None,
            "clusters[].cluster.certificate-authority-data",
        ),
        ({}, {"client-certificate-data": PEM}, "users[].user"),
        (
            {},
            {
                "client-certificate-data": PEM,
                "client-key-data": b64(certificate_and_key("secret")[1]),
            },
            "users[].user",
        ),
    ],
)
def test_what_isnt_on_the_list_is_refused_by_name(cluster, user, field):
    with pytest.raises(KubeconfigRefused) as refused:
        parse(config(cluster=cluster, user=user))

    assert refused.value.field == field
    assert "secret-token" not in str(refused.value)


@pytest.mark.parametrize(
    "value", ["!!bool MY-SECRET", "!!timestamp x", '!!int ""', "1:" * 200 + "1.5"]
)
def test_a_tag_that_the_library_stumbles_over_is_refused_without_its_value(value: str):
    with pytest.raises(KubeconfigRefused, match="is not YAML") as refused:
        parse(config().replace(b"secret-token", value.encode()))

    assert refused.value.__suppress_context__  # a traceback would show the value


def test_a_client_certificate_with_its_key_is_accepted():
    user = {"client-certificate-data": PEM, "client-key-data": b64(KEY)}

    assert parse(config(user=user)).client_cert_pem == CERTIFICATE


def test_a_file_that_is_far_too_large_is_not_even_read():
    with pytest.raises(KubeconfigRefused, match="larger than"):
        parse(config() + b"#" * MAX_BYTES)


def test_local_addresses_are_for_development_only():
    data = config(cluster={"server": "https://127.0.0.1:6443"})

    assert parse(data, allow_local=True).server == "https://127.0.0.1:6443"


@given(st.binary(max_size=300))
def test_no_bytes_make_it_raise_anything_else(data):
    with contextlib.suppress(KubeconfigRefused):
        parse(data)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "clusters",
                        "users",
                        "contexts",
                        "name",
                        "cluster",
                        "user",
                        "context",
                        "server",
                        "token",
                        "current-context",
                    ]
                ),
                inner,
                max_size=5,
            )
        ),
        max_leaves=20,
    )
)
def test_no_structure_makes_it_raise_anything_else(value):
    body = {"kind": "Config", **value} if isinstance(value, dict) else value
    with contextlib.suppress(KubeconfigRefused):
        parse(yaml.safe_dump(body).encode())


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "169.254.1.1", "::1", "fe80::1", "0.0.0.0", "::ffff:169.254.169.254"]
)
def test_addresses_that_are_never_a_landlords(address):
    assert is_local_address(address)
