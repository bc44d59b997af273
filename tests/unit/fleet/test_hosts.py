"""Which spellings of a host a kubeconfig may have: those that every library takes for the same host."""

import pytest
from yarl import URL

from sublet.fleet.hosts import fault_of
from sublet.fleet.kubeconfig import KubeconfigRefused
from tests.builders.kubeconfigs import config, parse

SERVER = "clusters[].cluster.server"
TLS_NAME = "clusters[].cluster.tls-server-name"


@pytest.mark.parametrize(
    "host",
    [
        "west",
        "West.Example.com",
        "10-0-0-1.nodes.example",
        "1.2.3.example",
        "xn--mnchen-3ya.example",
        "a" * 63 + ".example",
        "10.1.2.3",
        "[2001:db8::1]",
    ],
)
def test_plain_names_and_addresses_are_what_the_client_takes_them_for(host: str):
    server = f"https://{host}:6443"

    assert parse(config(cluster={"server": server})).server == server
    assert URL(server).raw_host == host.strip("[]").lower()


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("\uff11\uff12\uff17.0.0.1", "plain ASCII"),  # full-width digits
        ("127。0。0。1", "plain ASCII"),
        ("\N{KELVIN SIGN}8s.example", "plain ASCII"),
        ("127.0.0.1\t", "plain ASCII"),
        ("a..b", "no DNS name"),
        (".x", "no DNS name"),
        ("west.example.", "no DNS name"),
        ("localhost.", "no DNS name"),
        ("127.0.0.1.", "no DNS name"),
        ("127%2e0.0.1", "no DNS name"),
        ("west_1.example", "no DNS name"),
        ("-west.example", "no DNS name"),
        ("a" * 64 + ".example", "no DNS name"),
        ("a." * 126 + "ab", "no DNS name"),
        ("0x7f.1", "ends with a number"),
        ("0x7f000001", "ends with a number"),
        ("2130706433", "ends with a number"),
        ("127.1", "ends with a number"),
        ("0177.0.0.1", "ends with a number"),
        ("[fe80::1%eth0]", "without a zone"),
        ("[2001:DB8:0::1]", "shortest form"),
        ("[::ffff:10.0.0.1]", "IPv4 address alone"),
        ("user@127.0.0.1", "nothing more"),
        ("@127.0.0.1", "nothing more"),
        ("west.example\\@127.0.0.1", "nothing more"),
        ("west.example?", "nothing more"),
    ],
)
def test_a_spelling_that_somebody_may_take_for_another_host_is_refused(host: str, said: str):
    with pytest.raises(KubeconfigRefused, match=said) as refused:
        parse(config(cluster={"server": f"https://{host}"}), allow_local=True)

    assert refused.value.field == SERVER


@pytest.mark.parametrize(
    "name", [".x", "a..b", "a" * 64, "127.1", "\uff11\uff12\uff17.0.0.1", "\N{KELVIN SIGN}8s"]
)
def test_a_name_to_verify_is_one_that_tls_can_ask_for(name: str):
    with pytest.raises(KubeconfigRefused) as refused:
        parse(config(cluster={"tls-server-name": name}))

    assert refused.value.field == TLS_NAME


@pytest.mark.parametrize("name", ["west", "kubernetes.default.svc", "10.96.0.1"])
def test_a_name_to_verify_may_be_an_address_too(name: str):
    assert parse(config(cluster={"tls-server-name": name})).tls_server_name == name


def test_what_is_wrong_is_said_without_the_host_itself():
    assert "0x7f" not in fault_of("0x7f.1")
