"""A tenant's tokens and kubeconfig: when they are renewed, and what refuses the Secret."""

import base64
from dataclasses import replace
from typing import Any

import pytest
import yaml

from sublet.api.gpuclaim import Access, ClusterAccess
from sublet.api.names import KUBECONFIG_KEY
from sublet.api.times import Millis
from sublet.binder.access import (
    Grant,
    SecretTaken,
    digest_of,
    is_renewal_due,
    kubeconfig,
    secret_of,
    write_secret,
)
from sublet.kube.errors import Forbidden, NotFound
from sublet.kube.session import Endpoint
from tests.builders.api import as_claim

NOW, HOUR = Millis(1_700_000_000_000), 3_600_000


@pytest.mark.parametrize(
    ("ahead_ms", "after_ms"),
    [
        (0, HOUR),  # half of two hours
        (12 * HOUR, HOUR),  # by its own clock it ends in fourteen hours; by ours in two
        (-HOUR, HOUR // 2),  # it seems to end in one hour
        (-12 * HOUR, 60_000),  # it seems to be over: soon again, not at once
    ],
)
def test_a_token_is_renewed_before_it_ends_by_any_clock(ahead_ms: int, after_ms: int):
    expires = Millis(NOW + ahead_ms + 2 * HOUR)
    grant = Grant("west", "home", Endpoint("https://west"), "t", NOW, expires, 2 * HOUR)

    assert grant.renewal_ms - NOW == after_ms


@pytest.mark.parametrize("life_seconds", [600, 21_600])
@pytest.mark.parametrize("ahead_ms", [0, 5 * HOUR, 24 * HOUR, 30 * 24 * HOUR])
def test_a_clock_that_was_ahead_for_a_moment_puts_no_renewal_off(ahead_ms: int, life_seconds: int):
    life = life_seconds * 1_000
    end = Millis(NOW + life)
    grant = Grant("west", "n", Endpoint("https://west"), "t", Millis(NOW + ahead_ms), end, life)
    cluster = ClusterAccess(alias="west", namespace="n", expiration_time=end)
    access = Access(secret_name="s", clusters=(cluster,), renewal_time=grant.renewal_ms)
    each = as_claim()
    each = each.model_copy(update={"status": each.status.model_copy(update={"access": access})})

    instants = (Millis(NOW), Millis(end - 60_000))
    times = (is_renewal_due(each, life_seconds, at) for at in instants)
    assert list(times) == [ahead_ms > 0, True]


def test_the_digest_tells_what_a_kubeconfig_says_of_a_cluster_and_nothing_secret():
    west = Endpoint("https://west", ca_pem="CA", tls_server_name="w")
    of_operator = replace(west, token=lambda: "secret", client_cert_pem="c", client_key_pem="k")
    others = [replace(west, **{name: "x"}) for name in ("server", "ca_pem", "tls_server_name")]

    assert digest_of(of_operator) == digest_of(west)
    assert len({digest_of(each) for each in (west, *others)}) == 4


class FullNamespace:
    """A namespace on the hub whose quota of Secrets is used up."""

    def __init__(self, *, has_secret: bool) -> None:
        self.has_secret = has_secret
        self.replaced: list[str] = []

    async def create(self, *_: Any) -> dict[str, Any]:
        raise Forbidden(403, "Forbidden", "exceeded quota: count/secrets", {})

    async def replace(self, path: str, _: Any) -> dict[str, Any]:
        if not self.has_secret:
            raise NotFound(404, "NotFound", "not found", {})
        self.replaced.append(path)
        return {"metadata": {"resourceVersion": "7"}}


def grants() -> list[Grant]:
    end = Millis(NOW + HOUR)
    return [Grant("west", "home", Endpoint("https://west"), "t", NOW, end, HOUR)]


async def test_a_quota_of_secrets_that_is_used_up_costs_nobody_a_renewal():
    hub: Any = FullNamespace(has_secret=True)
    access = await write_secret(hub, as_claim(), grants())

    assert (access.secret_version, len(hub.replaced)) == ("7", 1)


async def test_a_namespace_that_takes_no_secret_is_said_and_holds_up_nothing_else():
    hub: Any = FullNamespace(has_secret=False)
    with pytest.raises(SecretTaken, match="can't be made: exceeded quota"):
        await write_secret(hub, as_claim(), grants())


def test_the_secret_is_one_that_flux_and_cluster_api_read_as_it_is():
    """Under `value`, with all in it: a server, its CA inline, a token; no file, no program, no other key."""
    ca = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"
    endpoint = Endpoint("https://west.example.com:6443", ca_pem=ca, tls_server_name="west")
    grant = Grant("west", "sublet-x-1", endpoint, "t0ken", NOW, Millis(NOW + HOUR), HOUR)

    secret = secret_of(as_claim(), kubeconfig([grant]))

    assert set(secret["data"]) == {KUBECONFIG_KEY} == {"value"}
    config = yaml.safe_load(base64.b64decode(secret["data"]["value"]))
    (context,) = config["contexts"]
    assert config["current-context"] == context["name"]
    assert context["context"] == {"cluster": "west", "user": "west", "namespace": "sublet-x-1"}
    assert config["clusters"][0]["cluster"] == {
        "server": "https://west.example.com:6443",
        "certificate-authority-data": base64.b64encode(ca.encode()).decode(),
        "tls-server-name": "west",
    }
    assert config["users"][0]["user"] == {"token": "t0ken"}
