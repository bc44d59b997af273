"""A tenant's role that is gone: an API server lets the operator make it by its name alone, which a POST hasn't got."""

import pytest

from sublet.api.ids import ClusterUID
from sublet.drift import mend
from sublet.drift.finding import Finding
from sublet.drift.mend import mending
from tests.builders.api import as_lease, lease
from tests.builders.clusters import CLUSTER, tools_of
from tests.builders.mending import LEASE, Home, Writing, bound_claim, labelled

RULES = {"roleRules": [{"apiGroup": "kubeflow.org", "resources": ["pytorchjobs"]}]}
WEST = as_lease(lease("west", tenantAccess=RULES))


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(claim: object, *_: object) -> object:
        return claim

    for each in ("_see_quota", "_new_tokens"):
        monkeypatch.setattr(mend, each, nothing)


async def mended(*, taken: bool = False) -> tuple[list[Finding], Home]:
    """Mend a claim of whose namespace all is gone; return what was found, and what the cluster was asked."""
    claim = bound_claim()
    api, found = Home(claim, labelled(claim), taken=taken), list[Finding]()
    hub = Writing(claim, api.calls)
    tools = tools_of(hub, {LEASE: WEST}, {LEASE: api})
    tools.hub = hub
    work = mending(ClusterUID(CLUSTER), tools, lambda _, __, findings: found.extend(findings))
    await work(claim, lambda: None)
    return found, api


async def test_a_role_that_is_gone_is_applied_by_its_name():
    found, api = await mended()

    assert found == []
    assert [p.rsplit("/", 2)[1:] for p in api.sent("APPLY")] == [["roles", "sublet-tenant-extra"]]
    assert not any(path.endswith("/roles") for path in api.sent("POST"))


async def test_a_role_of_that_name_that_somebody_else_made_is_left_alone():
    found, api = await mended(taken=True)

    assert any(f.message.startswith("roles/sublet-tenant-extra in ") for f in found)
    assert api.sent("APPLY") == []
