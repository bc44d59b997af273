"""What a lease may name as a denied network is one: a misspelt one would be denied to nobody."""

import ipaddress
import re

import pytest
from hypothesis import given, strategies as st

from sublet.api.lease_terms import TenantAccess
from sublet.api.networks import NETWORK
from tests.builders.api import as_lease, lease

MISSPELT = [
    "203.0.113/24",
    "203.0.113.0/240",
    "203.0.113.0/33",
    "203.000.113.0/24",
    "203.0.113.0",
    "203.0.113.0/",
    "203.0.113.256/24",
    "2001:db8::/129",
    "2001:db8:/32",
    "2001:db8::1::/64",
    "1:2:3:4:5:6:7:8:9/64",
    ":1::/64",
    "::ffff:203.0.113.0/120",
    "::/08",
    "",
]
NETWORKS = (st.ip_addresses(v=4), st.integers(0, 32)), (st.ip_addresses(v=6), st.integers(0, 128))
NEARLY = st.text("0123456789abcdefABCDEF.:/", max_size=43)


def fits(text: str) -> bool:
    return re.fullmatch(NETWORK, text) is not None


@pytest.mark.parametrize("text", MISSPELT)
def test_a_misspelt_network_is_refused(text: str):
    assert not fits(text)


@pytest.mark.parametrize("text", ["0.0.0.0/0", "::/0", "::1/128", "2001:DB8::/32", "1::8/0", "1:2:3:4:5:6:7::/112", "203.0.113.7/24"])  # fmt: skip
def test_a_network_is_taken_however_it_is_written(text: str):
    assert fits(text)


@given(st.one_of(st.tuples(*each) for each in NETWORKS))
def test_every_network_is_taken_short_and_long(found):
    address, length = found

    assert fits(f"{address}/{length}")
    assert fits(f"{address.exploded}/{length}")


@given(NEARLY | st.from_regex(NETWORK, fullmatch=True))
def test_what_is_taken_is_a_network(text: str):
    if fits(text):
        ipaddress.ip_network(text, strict=False)


def test_a_lease_names_what_an_older_schema_took_for_networks():
    access = as_lease(lease(tenantAccess={"deniedCIDRs": ["203.0.113.0/24", "203.0.113/24", "::ffff:cb00:7100/120"]})).spec.tenant_access  # fmt: skip

    assert access.misspelt_networks == ("203.0.113/24", "::ffff:cb00:7100/120")
    assert TenantAccess().misspelt_networks == ()
