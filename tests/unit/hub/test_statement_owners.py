"""No statement stands in a namespace that another tenant has by now, and what a tenant owes is on its own all the same."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sublet.hub.state import HubState
from sublet.hub.statements.owners import Owners, owners_of
from sublet.kube.errors import ServerError
from tests.builders.api import as_tenant, tenant, uid_of
from tests.builders.billing import Journal
from tests.builders.statements import ACME, OCTOBER, SEPTEMBER, Hub, Keeping
from tests.builders.unread import unread_tenant

GLOBEX = uid_of("globex")
MOVED = Owners({"acme": "acme", "team-x": "globex"})


def two_teams() -> Journal:
    """Return a ledger in which acme has one GPU at 1 USD in each of two namespaces from 1 September on, and is credited 90 USD."""
    journal = Journal()
    journal.tenant("acme", uid=ACME, namespaces=["acme", "team-x"])
    for claim, namespace in (("train", "acme"), ("merge", "team-x")):
        journal.reserved(claim, tenant=ACME, namespace=namespace)
        journal.begins(claim, "2026-09-01T00:00:00Z", 1, tenant=ACME, price="1", tags={"of": claim})
    journal.adjusted("2026-09-02T00:00:00Z", "2026-09", "-90.00", tenant=ACME)
    return journal


def move(keeping: Keeping) -> None:
    """Give team-x to globex, which uses it at once."""
    keeping.hub.owners = MOVED
    keeping.journal.tenant("acme", uid=ACME, namespaces=["acme"])
    keeping.journal.tenant("globex", uid=GLOBEX, namespaces=["team-x"])
    keeping.journal.reserved("own", tenant=GLOBEX, namespace="team-x")
    keeping.journal.begins("own", "2026-09-14T00:00:00Z", 1, tenant=GLOBEX, price="1")


@pytest.fixture
async def keeping(tmp_path: Path) -> AsyncIterator[Keeping]:
    found = Keeping(Hub("acme", "team-x"), tmp_path, two_teams())
    found.hub.owners = Owners({"acme": "acme", "team-x": "acme"})
    await found.look("2026-09-14T00:00:00Z")
    yield found
    await found.ledger.close()


def whose(keeping: Keeping, namespace: str) -> set[str]:
    """Return the tenants that statements in a namespace name."""
    return {
        body["spec"]["tenant"]
        for body in keeping.hub.objects.values()
        if body["metadata"]["namespace"] == namespace
    }


def total(keeping: Keeping, name: str, namespace: str = "acme") -> str | None:
    return keeping.hub.statement(name, namespace).status.total


async def test_a_namespace_that_moves_to_another_tenant_takes_no_statement_along(keeping):
    assert whose(keeping, "team-x") == {"acme"}
    move(keeping)

    assert await keeping.look(SEPTEMBER)
    assert whose(keeping, "team-x") == {"globex"}


async def test_nor_does_one_that_was_made_anew_for_another_tenant(keeping):
    move(keeping)
    for path in [x for x in keeping.hub.objects if "/team-x/" in x]:
        del keeping.hub.objects[path]

    await keeping.look(OCTOBER)
    assert whose(keeping, "team-x") == {"globex"}


async def test_what_an_open_month_has_there_is_shared_out_without_its_tags_and_stays_so(keeping):
    move(keeping)
    await keeping.look(SEPTEMBER)

    made = keeping.hub.statement("acme-2026-09-usd").status
    assert made.total == "582.00"  # 2 x 14 days - 90
    assert {line.tags.get("of") for line in made.lines} == {"train", None}
    assert sum(line.gpu_milliseconds for line in made.lines) == 2 * 14 * 86_400_000

    await keeping.look("2026-10-03T23:00:00Z")
    before = total(keeping, "acme-2026-09-usd")
    await keeping.look(OCTOBER)
    assert total(keeping, "acme-2026-09-usd") == before == "1350.00"


async def test_a_closed_month_stays_as_it_is_on_the_namespaces_that_the_tenant_has(keeping):
    await keeping.look(OCTOBER)
    before = keeping.hub.statement("acme-2026-09-usd")
    move(keeping)
    await keeping.look()

    assert keeping.hub.statement("acme-2026-09-usd").status == before.status
    assert [p for p in keeping.hub.objects if "/team-x/" in p and "acme-2026-09" in p] == []

    keeping.hub.owners = Owners({"acme": "acme", "team-x": "acme"})
    await keeping.look()
    assert total(keeping, "acme-2026-09-usd", "team-x") == "675.00"


async def test_of_two_tenants_that_name_a_namespace_the_one_that_has_it_has_statements_there(
    tmp_path,
):
    journal = Journal()
    journal.tenant("globex", uid=GLOBEX, namespaces=["team-x"])
    journal.tenant("acme", uid=ACME, namespaces=["acme", "team-x"])
    journal.adjusted("2026-09-07T00:00:00Z", "2026-09", "-500.00", tenant=ACME)
    keeping = Keeping(Hub("acme", "team-x"), tmp_path, journal)
    keeping.hub.owners = MOVED
    for when in (SEPTEMBER, OCTOBER):
        await keeping.look(when)
        assert total(keeping, "acme-2026-09-usd") == "-500.00"

    assert whose(keeping, "team-x") == set()
    await keeping.ledger.close()


async def test_a_tenant_that_has_no_namespace_of_its_own_has_no_statements(keeping):
    keeping.hub.owners = Owners({"acme": "globex", "team-x": "globex"})

    assert await keeping.look(OCTOBER)
    assert keeping.hub.objects == {}


async def test_a_statement_that_cant_be_taken_away_is_tried_again_and_said(keeping, monkeypatch):
    move(keeping)

    async def delete(path: str, *, uid: str) -> None:
        raise ServerError(500, "InternalError", path)

    with monkeypatch.context() as patched:
        patched.setattr(keeping.hub, "delete", delete)
        assert not await keeping.look(SEPTEMBER)
    assert total(keeping, "globex-2026-09-usd", "team-x") == "24.00"

    assert await keeping.look()
    assert whose(keeping, "team-x") == {"globex"}


def named(name: str, *namespaces: str, since: str):
    return as_tenant(tenant(name, namespaces=namespaces), creationTimestamp=since)


def test_a_namespace_is_the_older_tenants_and_what_nobody_names_the_default_tenants():
    state = HubState(lambda: None)
    state.tenants.put(named("acme", "acme", "team-x", since="2026-02-01T00:00:00Z"))
    state.tenants.put(named("globex", "team-x", since="2026-01-01T00:00:00Z"))

    without, found = (owners_of(state.tenants, name) for name in (None, "house"))

    names = ("acme", "team-x", "other")
    assert [without.is_anothers(name, "acme") for name in names] == [False, True, False]
    assert [found.is_anothers(name, "acme") for name in names] == [False, True, True]
    assert not found.is_anothers("other", "house")


def test_a_tenant_that_cant_be_read_keeps_the_namespaces_that_it_names():
    state = HubState(lambda: None)
    state.tenants.take(unread_tenant(named("globex", "team-x", since="2026-01-01T00:00:00Z")))

    found = owners_of(state.tenants, None)

    assert found.is_anothers("team-x", "acme")
    assert not found.is_anothers("team-x", "globex")
