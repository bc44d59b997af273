"""Requests to an API server: what they say, what they make of the answer, what a lying server can't do."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from aiohttp import web

from sublet.kube.addresses import is_local_address
from sublet.kube.errors import (
    MESSAGE_LENGTH,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    ServerError,
    TooManyRequests,
    Unauthorized,
    Unreachable,
)
from sublet.kube.session import ApiServer, Endpoint, Limits, tls_context
from sublet.kube.wire import Node
from tests.builders.pem import certificate_and_key
from tests.harness.fake_api import FakeApi, answering, failure, fake_api, saying, silence

PATH = "/api/v1/nodes/n"


@pytest.fixture
async def fake() -> AsyncIterator[FakeApi]:
    async with fake_api() as running:
        yield running


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, Unauthorized),
        (403, Forbidden),
        (404, NotFound),
        (409, Conflict),
        (410, Gone),
        (422, Invalid),
        (500, ServerError),
        (503, ServerError),
    ],
)
async def test_each_status_is_a_type_with_the_servers_reason(fake, status, kind):
    fake.objects[PATH] = answering(status, "Because", "in words")

    async with ApiServer(fake.endpoint) as api:
        with pytest.raises(kind) as raised:
            await api.get(PATH)

    assert (raised.value.reason, raised.value.message) == ("Because", "in words")


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7), ("1e9", 60), ("nan", 1), ("Wed, 21 Oct 2026", 1), ("-3", 0)]
)
async def test_a_busy_servers_wish_is_bounded(fake, header, seconds):
    fake.objects[PATH] = answering(429, **{"Retry-After": header})

    async with ApiServer(fake.endpoint) as api:
        with pytest.raises(TooManyRequests) as raised:
            await api.get(PATH)

    assert raised.value.retry_after_seconds == seconds


async def test_a_servers_text_is_cut_and_printable(fake):
    fake.objects[PATH] = answering(403, "x" * 5_000, "\x1b[31m\n" + "y" * 50_000)

    async with ApiServer(fake.endpoint) as api:
        with pytest.raises(Forbidden) as raised:
            await api.get(PATH)

    assert raised.value.message.isprintable()
    assert len(raised.value.message) <= MESSAGE_LENGTH + 1


@pytest.mark.parametrize("body", [b"", b"[1]", b"null", b"\xff", b'{"details": 3, "reason": []}'])
async def test_an_error_without_a_status_object_is_still_that_error(fake, body):
    async def answer(_):
        return web.Response(status=404, body=body)

    fake.objects[PATH] = answer
    async with ApiServer(fake.endpoint) as api:
        with pytest.raises(NotFound) as raised:
            await api.get(PATH)

    assert raised.value.details == {}


async def test_a_redirect_is_refused_and_not_followed(fake):
    async def elsewhere(_):
        return web.Response(status=302, headers={"Location": "/elsewhere"})

    fake.objects[PATH] = elsewhere
    async with ApiServer(fake.endpoint) as api:
        with pytest.raises(Exception, match="302"):
            await api.get(PATH)

    assert [r.path for r in fake.requests] == [PATH]


async def test_an_answer_beyond_the_byte_limit_is_not_read(fake):
    fake.objects[PATH] = saying(b" " * 100_000)

    async with ApiServer(fake.endpoint, Limits(body_bytes=10_000)) as api:
        with pytest.raises(Unreachable, match="larger than 10000"):
            await api.get(PATH)


async def test_a_server_that_never_answers_is_unreachable(fake):
    fake.objects[PATH] = silence

    async with ApiServer(fake.endpoint, Limits(request_seconds=0.05)) as api:
        with pytest.raises(Unreachable):
            await api.get(PATH)


@pytest.mark.parametrize("body", [b"no json", b"[]", b'{"metadata": 1}'])
async def test_an_answer_of_another_shape_is_as_good_as_none(fake, body):
    fake.objects[PATH] = saying(body)

    async with ApiServer(fake.endpoint) as api:
        with pytest.raises(Unreachable):
            await api.get_as(PATH, Node)


async def test_cookies_of_a_server_are_dropped(fake):
    async def with_cookie(_):
        return web.json_response({}, headers={"Set-Cookie": "a=b"})

    fake.objects[PATH] = with_cookie
    async with ApiServer(fake.endpoint) as api:
        await api.get(PATH)
        await api.get(PATH)

    assert "Cookie" not in fake.requests[1].headers


async def test_another_token_uses_the_same_connection_and_never_mixes(fake):
    fake.objects[PATH] = {}

    async with ApiServer(fake.endpoint) as api, api.with_token("tenant") as tenant:
        await asyncio.gather(api.get(PATH), tenant.get(PATH))
        assert tenant._open() is api._open()

    seen = sorted(r.headers["Authorization"] for r in fake.requests)
    assert seen == ["Bearer tenant", "Bearer token-1"]


async def test_a_client_certificates_connection_is_never_another_identitys():
    endpoint = Endpoint("http://127.0.0.1:1", client_cert_pem="c", client_key_pem="k")

    async with ApiServer(endpoint) as api, api.with_token("tenant") as tenant:
        assert tenant._open() is not api._open()
        assert tenant.endpoint.client_cert_pem is None


async def test_whom_we_act_as_is_said_with_each_request_and_isnt_anothers(fake):
    fake.objects[PATH] = {"metadata": {"name": "n"}}
    groups = (("Impersonate-Group", "dev"), ("Impersonate-Group", "ops"))
    endpoint = replace(fake.endpoint, acting_as=(("Impersonate-User", "jane"), *groups))

    async with ApiServer(endpoint) as api, api.with_token("tenant") as tenant:
        for each in (api, tenant):
            await each.get(PATH)

    said = [
        (r.headers.get("Impersonate-User"), r.headers.getall("Impersonate-Group", []))
        for r in fake.requests
    ]
    assert said == [("jane", ["dev", "ops"]), (None, [])]


async def test_a_proxy_is_asked_for_the_server_that_is_meant(fake):
    fake.objects[PATH] = {"metadata": {"name": "n"}}
    endpoint = replace(fake.endpoint, server="http://hub.example", proxy=fake.url)

    async with ApiServer(endpoint) as api, api.with_token("tenant") as tenant:
        for each in (api, tenant):
            await each.get(PATH)

    assert [r.host for r in fake.requests] == ["hub.example", "hub.example"]


class Tokens:
    """An identity whose token ends: each renewal brings the next of these, if there is one."""

    def __init__(self, *tokens: str) -> None:
        self._tokens = tokens
        self.renewals = 0

    def under(self, endpoint: Endpoint) -> Endpoint:
        return replace(
            endpoint,
            token=lambda: self._tokens[min(self.renewals, len(self._tokens) - 1)],
            renew=self._renew,
        )

    async def _renew(self) -> None:
        self.renewals += 1


def _taken_with(fake: FakeApi, token: str) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.headers["Authorization"] == f"Bearer {token}":
            return web.json_response(await request.json())
        return failure(401, "Unauthorized")

    fake.objects[PATH] = answer


async def test_what_an_ended_token_was_refused_for_is_asked_again_with_the_next_one(fake):
    _taken_with(fake, "t-2")

    async with ApiServer(Tokens("t-1", "t-2").under(fake.endpoint)) as api:
        assert await api.create(PATH, {"a": 1}) == {"a": 1}


@pytest.mark.parametrize("tokens", [("t-1", "t-2", "t-3"), ("t-1",)], ids=["another", "no other"])
async def test_a_refusal_is_answered_by_one_more_try_at_most(fake, tokens):
    _taken_with(fake, "t-9")
    ours = Tokens(*tokens)

    async with ApiServer(ours.under(fake.endpoint)) as api:
        with pytest.raises(Unauthorized):
            await api.create(PATH, {"a": 1})

    assert (ours.renewals, len(fake.requests)) == (1, min(2, len(tokens)))


async def test_who_doesnt_lead_any_more_once_a_token_is_there_asks_for_no_change_again(fake):
    _taken_with(fake, "t-2")
    ours = Tokens("t-1", "t-2")

    async with ApiServer(ours.under(fake.endpoint)) as api:
        api.may_change = lambda: not ours.renewals
        with pytest.raises(Unreachable, match="doesn't lead"):
            await api.create(PATH, {"a": 1})

    assert len(fake.requests) == 1


async def test_another_identity_isnt_renewed_by_ours(fake):
    _taken_with(fake, "t-9")
    ours = Tokens("t-1", "t-2")

    async with ApiServer(ours.under(fake.endpoint)) as api, api.with_token("tenant") as tenant:
        with pytest.raises(Unauthorized):
            await tenant.create(PATH, {"a": 1})

    assert ours.renewals == 0


async def test_a_closed_connection_stays_closed(fake):
    fake.objects[PATH] = {}
    api = ApiServer(fake.endpoint)
    tenant = api.with_token("tenant")
    await api.get(PATH)
    await api.close()

    for each in (api, tenant):
        with pytest.raises(Unreachable, match="closed"):
            await each.get(PATH)


async def test_a_write_says_what_it_is(fake):
    async def echo(request):
        return web.json_response(
            {"type": request.content_type, "query": dict(request.query), "method": request.method}
        )

    fake.objects[PATH] = echo
    async with ApiServer(fake.endpoint) as api:
        patched = await api.patch(PATH, [{"op": "test", "path": "/metadata/uid", "value": "u"}])
        applied = await api.apply(PATH, {"kind": "Node"})
        tried = await api.create(PATH, {"kind": "Node"}, dry_run=True)

    assert patched["type"] == "application/json-patch+json"
    assert applied["query"] == {"fieldManager": "sublet", "force": "true"}
    assert tried["query"] == {"dryRun": "All"}


async def test_a_replica_that_does_not_lead_changes_nothing_and_may_ask(fake):
    fake.objects[PATH] = {}
    token = "/api/v1/namespaces/a/serviceaccounts/tenant/token"
    review = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
    fake.objects |= {token: {}, review: {}}
    async with ApiServer(fake.endpoint) as api:
        leads = [True]
        api.may_change = lambda: leads[0]
        another = api.with_token("tenant")
        await another.create(PATH, {"kind": "Node"})
        leads[0] = False
        for each in (api, another):
            with pytest.raises(Unreachable, match="doesn't lead"):
                await each.create(PATH, {"kind": "Node"})
            with pytest.raises(Unreachable, match="doesn't lead"):
                await each.delete(PATH)
        sent = len(fake.requests)
        await another.get(PATH)
        await another.create(PATH, {"kind": "Node"}, dry_run=True)
        await another.create(token, {})
        await another.create(review, {})

    assert (sent, len(fake.requests)) == (1, 5)


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/nodes/token",
        "/apis/sublet.dev/v1alpha1/namespaces/acme/gpuclaims/token",
        "/api/v1/namespaces/serviceaccounts/serviceaccounts/token",
        "/api/v1/namespaces/acme/serviceaccounts/a/b/token",
    ],
)
async def test_what_is_only_called_token_isnt_changed_by_a_replica_that_does_not_lead(
    fake, path: str
):
    fake.objects[path] = {}
    async with ApiServer(fake.endpoint) as api:
        api.may_change = lambda: False
        with pytest.raises(Unreachable, match="doesn't lead"):
            await api.patch(path, [])

    assert fake.requests == []


async def test_a_delete_carries_its_precondition(fake):
    async def check(request):
        body = await request.json()
        wrong = body.get("preconditions") != {"uid": "u"}
        return failure(409, "Conflict") if wrong else web.json_response({})

    fake.objects[PATH] = check
    async with ApiServer(fake.endpoint) as api:
        await api.delete(PATH, uid="u")
        with pytest.raises(Conflict):
            await api.delete(PATH)


async def test_a_name_that_leads_to_loopback_is_refused_when_the_connection_is_made(fake):
    fake.objects[PATH] = {}
    named = replace(fake.endpoint, server=fake.url.replace("127.0.0.1", "localhost"))

    async with ApiServer(named, refuse_address=is_local_address) as api:
        with pytest.raises(Unreachable, match="loopback"):
            await api.get(PATH)
        with pytest.raises(Unreachable, match="loopback"):
            await api.with_token("tenant").get(PATH)
    async with ApiServer(named) as api:
        assert await api.get(PATH) == {}

    assert len(fake.requests) == 1


def test_an_encrypted_key_is_an_error_and_never_a_question_on_the_terminal():
    certificate, key = certificate_and_key("secret")

    with pytest.raises((ssl.SSLError, ValueError)):
        tls_context(Endpoint("https://x", client_cert_pem=certificate, client_key_pem=key))


def test_a_certificate_with_its_key_is_taken():
    certificate, key = certificate_and_key()

    assert tls_context(Endpoint("https://x", client_cert_pem=certificate, client_key_pem=key))


async def test_metadata_alone_is_asked_for_as_such(fake):
    fake.objects["/api/v1/secrets"] = {"items": [{"metadata": {"name": "s"}}]}

    async with ApiServer(fake.endpoint) as api:
        answer = await api.list_metadata("/api/v1/secrets", dict, fieldSelector="type=x")

    assert answer["items"][0]["metadata"]["name"] == "s"
    (request,) = fake.requests
    assert request.headers["Accept"].startswith("application/json;as=PartialObjectMetadataList")
    assert request.query["fieldSelector"] == "type=x"
