"""A node's or a claim's pods, however much room they take in an answer."""

from typing import Any

import pytest
from aiohttp import web

from sublet.binder.pods import list_pods
from sublet.kube.errors import BadAnswer
from sublet.kube.session import ApiServer, Limits
from tests.harness.fake_api import FakeApi, fake_api

PODS = "/api/v1/namespaces/x/pods"
ROOM = 20_000
"""Bytes that an answer may have here."""


def serving(fake: FakeApi, pods: list[dict[str, Any]], *, endless: bool = False) -> None:
    """Let an API server list these pods, all of them or in pages, as it is asked."""

    async def answer(request: web.Request) -> web.StreamResponse:
        begin = int(request.query.get("continue", "0"))
        end = begin + int(request.query.get("limit", len(pods)))
        more = {"continue": str(0 if endless else end)} if endless or end < len(pods) else {}
        return web.json_response(
            {"metadata": {"resourceVersion": "1", **more}, "items": pods[begin:end]}
        )

    fake.objects[PODS] = answer


def pod(number: int, size: int = 1_000) -> dict[str, Any]:
    return {
        "metadata": {"name": f"p{number}", "namespace": "x", "annotations": {"a": "x" * size}},
        "spec": {},
    }


async def listed(fake: FakeApi) -> list[str]:
    async with ApiServer(fake.endpoint, Limits(body_bytes=ROOM, bodies_bytes=2 * ROOM)) as api:
        return [p.metadata.name for p in await list_pods(api, PODS)]


@pytest.mark.parametrize("count", [0, 3, 16, 17, 50])
async def test_all_pods_are_listed_whether_one_answer_has_room_for_them_or_not(count: int):
    async with fake_api() as fake:
        serving(fake, [pod(i) for i in range(count)])
        assert await listed(fake) == [f"p{i}" for i in range(count)]


async def test_a_list_that_has_no_end_isnt_believed():
    async with fake_api() as fake:
        serving(fake, [pod(i) for i in range(50)], endless=True)
        with pytest.raises(BadAnswer):
            await listed(fake)


async def test_pods_that_take_six_times_their_room_in_an_answer_are_listed_a_few_at_a_time():
    """A tenant may fill a pod with characters that JSON writes with six."""
    async with fake_api() as fake:
        serving(fake, [pod(i, ROOM // 4) for i in range(10)])
        assert await listed(fake) == [f"p{i}" for i in range(10)]
