"""What a leased cluster lists of ours, whatever it lists."""

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from sublet.drift import look as looking
from sublet.drift.compare import PLURALS
from sublet.drift.look import look
from sublet.kube.errors import BadAnswer
from sublet.kube.session import ApiServer
from tests.builders.api import as_lease, uid_of
from tests.harness.fake_api import FakeApi, fake_api

CLUSTER_UID = uid_of("cluster west")
HOME = f"sublet-{uid_of('train')}-1"
QUOTAS = "/api/v1/resourcequotas"


@pytest.fixture
async def west() -> AsyncIterator[FakeApi]:
    async with fake_api() as fake:
        for path in [
            *(f"{group}/{plural}" for plural, group in PLURALS.items()),
            "/api/v1/namespaces",
        ]:
            fake.objects[path] = listing()
        fake.objects["/api/v1/namespaces/kube-system"] = {"metadata": {"uid": CLUSTER_UID}}
        yield fake


def listing(*items: object) -> dict[str, Any]:
    return {"metadata": {"resourceVersion": "1"}, "items": list(items) or None}


def quota(name: str = "sublet", **more: object) -> dict[str, Any]:
    return {
        "metadata": {"namespace": HOME, "name": name, **more},
        "spec": {"hard": {"pods": "500"}},
    }


async def seen(fake: FakeApi) -> looking.Sight:
    facts: Any = SimpleNamespace(cluster_uid=CLUSTER_UID)
    async with ApiServer(fake.endpoint) as api:
        cluster: Any = SimpleNamespace(api=api, lease=as_lease(), facts=facts)
        return await look(cluster)


async def test_what_stands_in_a_namespace_is_found_by_its_name(west: FakeApi):
    west.objects[QUOTAS] = listing(quota())
    west.objects["/api/v1/namespaces"] = listing({"metadata": {"name": HOME, "labels": {"a": "b"}}})

    home = (await seen(west)).home(HOME)

    assert home.namespace is not None
    assert home.namespace["metadata"]["labels"] == {"a": "b"}
    assert dict(home.objects) == {("resourcequotas", "sublet"): quota()}


async def test_a_cluster_that_lists_more_than_anybody_made_isnt_believed(
    west: FakeApi, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(looking, "MOST_BYTES", 50_000)
    west.objects[QUOTAS] = listing(*(quota(f"q{i}") for i in range(50)))
    assert await seen(west)

    west.objects[QUOTAS] = listing(*(quota(f"q{i}") for i in range(500)))
    with pytest.raises(BadAnswer, match="more than anybody made"):
        await seen(west)


async def test_an_object_that_no_api_server_could_hold_isnt_believed(west: FakeApi):
    west.objects[QUOTAS] = listing(quota(annotations={"a": "x" * 4_000_000}))
    with pytest.raises(BadAnswer, match="more than anybody made"):
        await seen(west)


@pytest.mark.parametrize("item", [[], {}, {"metadata": []}, {"metadata": {"name": 7}}])
async def test_an_item_that_is_no_object_is_a_bad_answer(west: FakeApi, item: object):
    west.objects[QUOTAS] = listing(item)
    with pytest.raises(BadAnswer):
        await seen(west)
