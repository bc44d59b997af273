"""Kubeconfigs that somebody deleted or changed: found without reading any, and never where nothing is lost."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from sublet.api.gpuclaim import Access, GpuClaim
from sublet.binder.secret import SecretState, look_at_secret
from sublet.kube.errors import KubeError
from sublet.kube.session import ApiServer
from tests.builders.api import as_claim, uid_of
from tests.builders.restored import adopted, on_the_wire, parsed, restored
from tests.harness.fake_api import Answer, FakeApi, answering, fake_api

SECRET = "/api/v1/namespaces/acme/secrets/train-kubeconfig"


def access(version: str | None = "17") -> Access:
    return Access(secret_name="train-kubeconfig", clusters=(), secret_version=version)


@asynccontextmanager
async def hub(answer: Answer) -> AsyncIterator[tuple[ApiServer, list[dict[str, Any]], FakeApi]]:
    async with fake_api() as fake, ApiServer(fake.endpoint) as api:
        tried: list[dict[str, Any]] = []

        async def take(request: web.Request) -> web.StreamResponse:
            tried.append({**await request.json(), "dryRun": request.query.get("dryRun")})
            return await answer(request)

        fake.objects[SECRET] = take
        yield api, tried, fake


async def taken(_: web.Request) -> web.StreamResponse:
    return web.json_response({"kind": "Secret"})


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (taken, SecretState.FINE),
        (answering(404, "NotFound"), SecretState.GONE),
        (answering(409, "Conflict"), SecretState.CHANGED),
        (answering(403, "Forbidden"), SecretState.TAKEN),
    ],
)
async def test_what_became_of_it_is_told_by_the_answer(answer: Answer, state: SecretState):
    async with hub(answer) as (api, _, _):
        assert await look_at_secret(api, as_claim(), access()) is state


async def test_it_is_only_tried_under_the_version_written_last_and_holds_nothing():
    async with hub(taken) as (api, tried, _):
        await look_at_secret(api, as_claim(), access())

    assert tried[0]["dryRun"] == "All"
    assert tried[0]["metadata"]["resourceVersion"] == "17"
    assert tried[0]["data"] == {"value": ""}


async def test_one_that_wasnt_written_yet_isnt_lost():
    async with hub(answering(404, "NotFound")) as (api, _, fake):
        assert await look_at_secret(api, as_claim(), access(None)) is SecretState.FINE
        assert fake.requests == []


async def test_an_adopted_claim_owns_it_by_the_uid_that_the_hub_gave():
    claim: GpuClaim = parsed(adopted(restored(on_the_wire(as_claim()))))
    async with hub(taken) as (api, tried, _):
        await look_at_secret(api, claim, access())

    assert tried[0]["metadata"]["ownerReferences"][0]["uid"] == uid_of("new")


async def test_a_hub_that_doesnt_answer_says_nothing_about_it():
    async with hub(answering(503)) as (api, _, _):
        with pytest.raises(KubeError):
            await look_at_secret(api, as_claim(), access())
