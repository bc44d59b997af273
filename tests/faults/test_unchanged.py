"""What was read of a plane stands until anything in it changes."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from sublet.kube.errors import NotFound
from sublet.kube.session import ApiServer, Endpoint
from tests.faults.unchanged import Unchanged
from tests.harness.fake_api import FakeApi, fake_api

NODE = "/api/v1/nodes/n0"


class Etcd:
    """An etcd of which only the revision is asked."""

    def __init__(self) -> None:
        self.revision = 1

    async def answer(self, _: web.Request) -> web.Response:
        return web.json_response({"header": {"revision": str(self.revision)}})


@pytest.fixture
def etcd() -> Etcd:
    return Etcd()


@pytest.fixture
async def fake() -> AsyncIterator[FakeApi]:
    async with fake_api() as found:
        yield found


@pytest.fixture
async def plane(etcd: Etcd, fake: FakeApi) -> AsyncIterator[Unchanged]:
    app = web.Application()
    app.router.add_post("/v3/kv/range", etcd.answer)
    async with (
        TestServer(app) as server,
        aiohttp.ClientSession() as http,
        ApiServer(Endpoint(fake.url)) as api,
    ):
        yield Unchanged(api, str(server.make_url("")).rstrip("/"), http)


async def name_of_node(plane: Unchanged) -> str:
    await plane.look()
    return str((await plane.get(NODE))["metadata"]["name"])


async def test_what_is_as_it_was_is_asked_once(plane: Unchanged, fake: FakeApi):
    fake.objects[NODE] = {"metadata": {"name": "n0"}}
    assert [await name_of_node(plane) for _ in range(3)] == ["n0"] * 3
    assert len(fake.requests) == 1


async def test_any_change_of_the_plane_makes_it_be_read_again(
    plane: Unchanged, fake: FakeApi, etcd: Etcd
):
    fake.objects[NODE] = {"metadata": {"name": "n0"}}
    await name_of_node(plane)
    fake.objects[NODE] = {"metadata": {"name": "changed"}}
    etcd.revision += 1
    assert await name_of_node(plane) == "changed"


async def test_what_isnt_there_stays_so_until_something_changes(
    plane: Unchanged, fake: FakeApi, etcd: Etcd
):
    for _ in range(2):
        with pytest.raises(NotFound):
            await name_of_node(plane)
    assert len(fake.requests) == 1

    fake.objects[NODE] = {"metadata": {"name": "n0"}}
    etcd.revision += 1
    assert await name_of_node(plane) == "n0"


async def test_questions_that_differ_have_answers_of_their_own(plane: Unchanged, fake: FakeApi):
    fake.objects[NODE] = {"metadata": {"name": "n0"}}
    await plane.look()
    await plane.get("/api/v1/nodes", limit="1")
    await plane.get("/api/v1/nodes", limit="2")
    assert [dict(r.query) for r in fake.requests] == [{"limit": "1"}, {"limit": "2"}]
