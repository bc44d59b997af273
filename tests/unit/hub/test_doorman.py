"""Secrets that somebody deleted: found without reading any, said on the claim, and never where nothing is lost."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from sublet.api.gpuclaim import Access, ClusterAccess, GpuClaim
from sublet.binder.claims import ClaimWriter
from sublet.book.plan import plan
from sublet.hub.doorman import Doorman
from sublet.hub.state import HubState
from sublet.kube.session import ApiServer
from tests.builders.api import NOW, as_claim, as_lease
from tests.builders.fleet import bound, carried_out, inventory, nodes, reserve_of, view
from tests.builders.restored import on_the_wire
from tests.harness.fake_api import Answer, FakeApi, SteppedClock, answering, fake_api

SECRETS = "/api/v1/namespaces/acme/secrets"
CLAIM = "/apis/sublet.dev/v1alpha1/namespaces/acme/gpuclaims/train"


def claim_with_access() -> GpuClaim:
    west, train = as_lease(), as_claim()
    made = plan(view([train], [(west, inventory(west, nodes(west, 1)))]))
    each = bound(carried_out(train, reserve_of(made, train)))
    clusters = (ClusterAccess(alias="west", namespace="n", expiration_time=NOW),)
    access = Access(secret_name="train-kubeconfig", clusters=clusters)
    return each.model_copy(update={"status": each.status.model_copy(update={"access": access})})


class Hub:
    """A hub with one bound claim; what is asked of its Secrets and written of its status."""

    def __init__(self, fake: FakeApi, secrets: Answer, live: GpuClaim) -> None:
        self.dry: list[tuple[str, dict[str, Any]]] = []
        self.statuses: list[dict[str, Any]] = []
        fake.objects[CLAIM] = on_the_wire(live)
        fake.objects[f"{CLAIM}/status"] = self._status
        fake.objects[SECRETS] = self._secrets
        self._answer = secrets

    async def _secrets(self, request: web.Request) -> web.StreamResponse:
        self.dry.append((request.query.get("dryRun", ""), await request.json()))
        return await self._answer(request)

    async def _status(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.statuses.append(body["status"])
        return web.json_response(on_the_wire(claim_with_access()) | {"status": body["status"]})


@asynccontextmanager
async def looked(secrets: Answer, live: GpuClaim | None = None) -> AsyncIterator[Hub]:
    async with fake_api() as fake, ApiServer(fake.endpoint) as api:
        known = claim_with_access()
        hub = Hub(fake, secrets, live or known)
        state = HubState(lambda: None)
        state.claims.put(known)
        doorman = Doorman(api, state, ClaimWriter(api), SteppedClock(), lambda: True)
        await doorman.look()
        yield hub


async def made(_: web.Request) -> web.StreamResponse:
    return web.json_response({"kind": "Secret"}, status=201)


async def test_a_secret_that_is_there_is_left_alone():
    async with looked(answering(409, "AlreadyExists")) as hub:
        assert hub.statuses == []


async def test_it_is_only_tried_and_holds_nothing():
    async with looked(answering(409, "AlreadyExists")) as hub:
        ((dry, body),) = hub.dry

    assert dry == "All"
    assert body["data"] == {"value": ""}
    assert "token" not in json.dumps(body)


async def test_a_secret_that_is_gone_is_due_for_renewal_at_once():
    async with looked(made) as hub:
        (status,) = hub.statuses

    assert status["access"]["lostTime"] == status["access"]["renewalTime"]


async def test_a_claim_that_isnt_bound_any_more_has_lost_nothing():
    gone = as_claim()
    async with looked(made, gone) as hub:
        assert hub.statuses == []


async def test_a_hub_that_doesnt_answer_says_nothing_about_secrets():
    async with looked(answering(503)) as hub:
        assert hub.statuses == []
