"""A cluster that is reached at another address, or under another CA: its tenants get a new kubeconfig within one look."""

from typing import Any

import pytest

from sublet.api.ids import ClusterUID
from sublet.drift import mend
from sublet.drift.look import Sight
from sublet.drift.lookout import Lookout
from sublet.drift.news import News
from sublet.kube.errors import Forbidden
from sublet.kube.session import Endpoint
from tests.builders.renewals import LEASES, Setup, with_access

MOVED = Endpoint("https://new.example:6443", ca_pem="new")


async def handed_over() -> Setup:
    """Return a claim whose kubeconfig leads to two clusters as they are reached now."""
    setup = Setup("west", "east")
    await setup.renew()
    assert setup.hub.live is not None
    setup.claim = setup.hub.live
    return setup


def move(setup: Setup, name: str) -> None:
    for uid, lease in LEASES.items():
        if lease.metadata.name == name:
            setup.tools.cluster(uid).tenant_endpoint = MOVED


def unwell(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the clusters at which a look says that something of the claim is to be put right."""
    monkeypatch.setattr(Lookout, "_differs", lambda *_: False)
    looks = Lookout(setup.tools, News())
    found = ((x.metadata.name, ClusterUID(uid)) for uid, x in LEASES.items())
    return [name for name, uid in found if looks._is_unwell(setup.claim, uid, Sight({}, {}))]


async def mended(setup: Setup) -> list[tuple[str, str]]:
    """Put the kubeconfig right; returns what the claim's Events say."""
    said: list[tuple[str, str]] = []
    setup.tools.events.note = lambda _, reason, text: said.append((reason.value, text))
    await mend._mend_access(setup.claim, setup.tools, [])
    assert setup.hub.live is not None
    setup.claim = setup.hub.live
    return said


def servers(setup: Setup) -> dict[str, str]:
    config: dict[str, Any] = setup.hub.kubeconfig
    return {each["name"]: each["cluster"]["server"] for each in config["clusters"]}


async def test_a_kubeconfig_that_leads_where_its_clusters_are_is_well(
    monkeypatch: pytest.MonkeyPatch,
):
    setup = await handed_over()

    assert unwell(setup, monkeypatch) == []
    assert await mended(setup) == []


async def test_a_cluster_that_is_reached_elsewhere_gives_its_tenants_a_new_kubeconfig(
    monkeypatch: pytest.MonkeyPatch,
):
    setup = await handed_over()
    move(setup, "west")
    assert unwell(setup, monkeypatch) == ["west"]

    ((reason, text),) = await mended(setup)
    assert reason == "AccessRenewed"
    assert text.endswith("had an address or a CA by which its cluster isn't reached any more; it was made anew with new tokens")  # fmt: skip
    assert servers(setup) == {"east": "https://west.example:6443", "west": MOVED.server}
    assert unwell(setup, monkeypatch) == []
    assert await mended(setup) == []


def refuse_tokens(setup: Setup, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def create(path: str, *_: Any, **__: Any) -> Any:
        raise Forbidden(403, "Forbidden", f"a webhook denied {path}")

    for uid in LEASES:
        setup.tools.cluster(uid).doubt = lambda: None
    monkeypatch.setattr(setup.api(name), "create", create)


async def test_where_no_new_token_is_given_the_last_one_is_led_to_the_new_address(
    monkeypatch: pytest.MonkeyPatch,
):
    setup = await handed_over()
    move(setup, "west")
    refuse_tokens(setup, "west", monkeypatch)
    await mended(setup)

    assert servers(setup)["west"] == MOVED.server
    assert unwell(setup, monkeypatch) == []
    assert await mended(setup) == []


async def test_the_address_that_was_learned_is_kept_while_the_cluster_is_silent(
    monkeypatch: pytest.MonkeyPatch,
):
    setup = await handed_over()
    move(setup, "west")
    refuse_tokens(setup, "west", monkeypatch)
    await mended(setup)
    setup.answer("east")
    await setup.renew()

    assert servers(setup)["west"] == MOVED.server


async def test_a_kubeconfig_that_has_no_token_of_a_cluster_leads_nowhere_wrong(
    monkeypatch: pytest.MonkeyPatch,
):
    setup = await handed_over()
    setup.restart()
    move(setup, "west")
    refuse_tokens(setup, "west", monkeypatch)
    await mended(setup)

    assert list(servers(setup)) == ["east"]
    assert unwell(setup, monkeypatch) == []
    assert await mended(setup) == []


async def test_of_an_older_kubeconfig_nobody_knows_where_it_leads(monkeypatch: pytest.MonkeyPatch):
    setup = await handed_over()
    assert setup.claim.status.access is not None
    unsaid = (c.model_copy(update={"endpoint_digest": None}) for c in setup.claim.status.access.clusters)  # fmt: skip
    setup.claim = with_access(setup.claim, clusters=tuple(unsaid))
    move(setup, "west")

    assert unwell(setup, monkeypatch) == []
