"""What a cluster answers to our own writes beside what its watch and its lists show: the newer counts, and no namesake comes back."""

import msgspec
import pytest

from sublet.api.ids import NodeName
from sublet.kube.wire import Node
from tests.builders.api import uid_of
from tests.harness.fake_api import eventually
from tests.harness.leased import engaged, node


@pytest.mark.parametrize("made_anew", [False, True])
async def test_an_answer_that_comes_late_brings_no_node_back(fake, made_anew: bool):
    old = msgspec.convert({**fake.items["n0"]}, Node)
    async with engaged(fake) as cluster:
        await eventually("watched", lambda: fake.open_watches)
        fake.remove("n0")
        await eventually("gone", lambda: not cluster.nodes())
        if made_anew:
            body = node("n0")
            body["metadata"]["uid"] = uid_of("n0 made anew")
            fake.put(body)
            await eventually("there again", cluster.nodes)
        old.metadata.resource_version = str(fake.version + 1)
        cluster.observe(old)

        assert uid_of("n0") not in {n.metadata.uid for n in cluster.nodes()}


async def test_a_list_counts_whatever_an_answer_of_a_restored_server_once_said(fake):
    told = msgspec.convert({**fake.items["n0"]}, Node)
    async with engaged(fake) as cluster:
        await eventually("watched", lambda: fake.open_watches)
        told.metadata.resource_version = "1000"
        told.metadata.labels["never"] = "was"
        cluster.observe(told)
        assert "never" in cluster.nodes()[0].metadata.labels
        fake.send("ERROR", {"code": 410, "reason": "Expired"})

        await eventually("read anew", lambda: "never" not in cluster.nodes()[0].metadata.labels)


@pytest.mark.parametrize("by_event", [False, True])
async def test_a_restored_server_gives_a_version_again_and_what_it_shows_now_counts(
    fake, by_event: bool
):
    told = msgspec.convert({**fake.items["n0"]}, Node)
    told.metadata.resource_version = "1000"
    told.metadata.labels["never"] = "was"
    async with engaged(fake) as cluster:
        await eventually("watched", lambda: fake.open_watches)
        cluster.observe(told)
        assert "never" in cluster.nodes()[0].metadata.labels
        body = node("n0")
        body["metadata"] |= {"uid": uid_of("n0"), "resourceVersion": "1000"}
        if by_event:
            fake.send("MODIFIED", body)
        else:
            fake.items["n0"], fake.version = body, 1_000
            fake.send("ERROR", {"code": 410, "reason": "Expired"})

        await eventually("as it is", lambda: "never" not in cluster.nodes()[0].metadata.labels)


def as_node(name: str, version: int, *, made: str = "", label: str = "plain") -> Node:
    """Return a node as an answer shows it: at a version, made anew under another UID, with a label that tells contents apart."""
    body = node(name)
    body["metadata"] |= {"uid": uid_of(made or name), "resourceVersion": str(version)}
    body["metadata"]["labels"] |= {"content": label}
    return msgspec.convert(body, Node)


async def test_an_answer_at_a_version_that_is_given_again_counts(fake):
    async with engaged(fake) as cluster:
        await eventually("watched", lambda: fake.open_watches)
        cluster.observe(as_node("n0", fake.version, label="restored"))

        assert cluster.nodes()[0].metadata.labels["content"] == "restored"


async def test_an_event_that_comes_late_brings_no_namesake_back(fake):
    async with engaged(fake) as cluster:
        await eventually("watched", lambda: fake.open_watches)
        cluster.observe(as_node("n0", fake.version + 10, made="anew"))
        old = node("n0")
        old["metadata"] |= {"uid": uid_of("n0"), "resourceVersion": str(fake.version + 1)}
        fake.send("MODIFIED", old)
        fake.send("DELETED", old)
        fake.put(node("n1"))
        await eventually("caught up", lambda: len(cluster.nodes()) == 2)

        assert {n.metadata.uid for n in cluster.nodes()} == {uid_of("anew"), uid_of("n1")}


async def test_an_answer_that_comes_after_a_list_brings_no_namesake_back(fake):
    async with engaged(fake) as cluster:
        await eventually("watched", lambda: fake.open_watches)
        body = node("n0")
        body["metadata"] |= {"uid": uid_of("anew"), "resourceVersion": str(fake.version + 5)}
        fake.items["n0"], fake.version = body, fake.version + 5
        fake.send("ERROR", {"code": 410, "reason": "Expired"})
        await eventually("anew", lambda: cluster.nodes()[0].metadata.uid == uid_of("anew"))
        cluster.observe(as_node("n0", fake.version + 1))

        assert cluster.nodes()[0].metadata.uid == uid_of("anew")


@pytest.mark.parametrize("name", ["n9", "n0"])
async def test_a_node_that_an_answer_showed_goes_when_a_list_lacks_it(fake, name: str):
    async with engaged(fake) as cluster:
        await eventually("watched", lambda: fake.open_watches)
        cluster.observe(as_node(name, fake.version + 1, made="anew"))
        fake.items.pop(name, None)
        fake.version += 2
        fake.send("ERROR", {"code": 410, "reason": "Expired"})

        await eventually("gone", lambda: cluster.node(NodeName(name)) is None)
