"""Where claims that must be close together, or apart, come to: other nodes break nothing that they asked for."""

from dataclasses import replace

import pytest

from sublet.book.decisions import Relocate
from sublet.book.failures import REPLACE_AFTER_MS
from sublet.book.plan import plan
from tests.builders.api import NOW, as_claim, as_class, claim, gpu_class
from tests.builders.fleet import after, bound, held, view
from tests.builders.moves import CLASSES, LEAD, decided, leased, on_sick_node, running
from tests.builders.windows import at


def in_domains(pair, *names: str | None):
    """Return the lease with its nodes in these NVLink domains, in their order."""
    each, found = pair
    nodes_ = [replace(n, clique=name) for n, name in zip(found.nodes.values(), names, strict=True)]
    return each, replace(found, nodes={n.name: n for n in nodes_})


def replaced(busy, failing, *others) -> list[str] | None:
    """Return the nodes that a claim has once its failed node was replaced, None if it isn't."""
    first = view([busy], [failing, *others], classes=CLASSES)
    seen = replace(after(first, plan(first)), now_ms=NOW + REPLACE_AFTER_MS)
    made = [d for d in decided(seen) if isinstance(d, Relocate)]
    return [p.node for p in made[0].placements] if made else None


ONE_DOMAIN = {"replacement": "OnFailure", "topology": {"scope": "NVLinkDomain"}}
WISH = {"replacement": "OnFailure", "topology": {"scope": "NVLinkDomain", "required": False}}


@pytest.mark.parametrize(
    ("spec", "domains", "nodes_after"),
    [
        (ONE_DOMAIN, ("d1", "d1", "d2", "d1"), ["west-0001", "west-0003"]),
        (ONE_DOMAIN, ("d1", "d1", "d2", None), None),
        (WISH, ("d1", "d1", "d2", "d1"), ["west-0001", "west-0003"]),
        (WISH, ("d1", "d1", "d2", "d2"), ["west-0001", "west-0002"]),
    ],
    ids=["must", "must, none free", "wish", "wish, none free"],
)
def test_beside_nodes_of_an_nvlink_domain_a_replacement_is_of_that_domain(
    spec, domains, nodes_after
):
    west = in_domains(leased("west", count=4), *domains)
    busy = running(west, count=2, **spec)
    assert replaced(busy, on_sick_node(west)) == nodes_after


def test_a_domain_of_another_cluster_is_not_the_same_whatever_its_name():
    west = in_domains(leased("west"), "d1", "d1")
    east = in_domains(leased("east"), "d1", "d1")
    busy = running(west, count=2, **ONE_DOMAIN)
    assert replaced(busy, on_sick_node(west), east) is None


def test_a_claim_on_one_node_may_get_one_of_another_domain_or_cluster():
    west = in_domains(leased("west", count=1), "d1")
    east = in_domains(leased("east"), "d2", None)
    busy = running(west, **ONE_DOMAIN)
    assert replaced(busy, on_sick_node(west), east) == ["east-0001"]


@pytest.mark.parametrize(
    "placement", [{"maxSharePerProviderPercent": 50}, {"minClusters": 2}], ids=["share", "clusters"]
)
@pytest.mark.parametrize("spare", [True, False], ids=["spare", "no spare"])
def test_a_claim_that_is_spread_gets_another_node_of_the_same_landlord_and_cluster_only(
    placement, spare
):
    west = leased("west", count=2 if spare else 1, provider="one")
    east = leased("east", count=3, provider="two")
    busy = running(east, count=2, replacement="OnFailure", placement=placement)
    on_west = running(west).status.allocation
    on_east = busy.status.allocation
    assert on_west is not None
    assert on_east is not None
    places = (*on_west.placements, on_east.placements[0])
    spread = on_east.model_copy(update={"placements": places})
    status = busy.status.model_copy(update={"allocation": spread})
    busy = busy.model_copy(update={"status": status})

    nodes_after = replaced(busy, on_sick_node(west), east)

    assert nodes_after == (["east-0000", "west-0001"] if spare else None)


def test_a_claim_that_moves_is_placed_anew_as_it_asked_and_as_its_class_requires():
    west = in_domains(leased("west", 40), "d1", "d1")
    apart = in_domains(leased("apart", committed=16), "d1", "d2")
    close = in_domains(leased("close", 60, count=3), None, "d3", "d3")
    asks = running(west, count=2, end=40, topology={"scope": "NVLinkDomain"})
    plain = running(west, count=2, end=40)
    strict = (as_class(gpu_class(moveLeadSeconds=LEAD * 3_600, requires={"nvlinkDomain": True})),)

    for busy, classes in ((asks, CLASSES), (plain, strict)):
        seen = view([busy], [west, apart, close], classes=classes, now_ms=at(20))
        (made,) = decided(seen)
        assert isinstance(made, Relocate)
        assert [p.node for p in made.placements] == ["close-0001", "close-0002"]


@pytest.mark.parametrize("sharing", ["None", "SameTenant", "AnyTenant"])
@pytest.mark.parametrize(
    ("sizes", "nodes_after"),
    [((4, 4, 8, 4), ["west-0001", "west-0003"]), ((4, 4, 8, 8), None)],
    ids=["spare", "no spare"],
)
def test_beside_other_nodes_no_part_of_a_larger_one_stands_in(sharing, sizes, nodes_after):
    """No quota says how much of it runs where: all of it could, on the GPUs of the larger node's other claims."""
    each, found = leased("west", count=4, committed=32, nodeSharing=sharing)
    sized = [replace(n, gpus=gpus) for n, gpus in zip(found.nodes.values(), sizes, strict=True)]
    west = each, replace(found, nodes={n.name: n for n in sized})
    body = as_claim(claim("train", gpus=8, replacement="OnFailure"))
    busy = bound(held(body, each, sized[:2]))

    assert replaced(busy, on_sick_node(west)) == nodes_after


def test_a_claim_on_one_node_alone_may_get_a_part_of_a_larger_one():
    each, found = leased("west", committed=32)
    small, large = (replace(n, gpus=g) for n, g in zip(found.nodes.values(), (4, 8), strict=True))
    west = each, replace(found, nodes={n.name: n for n in (small, large)})
    busy = bound(held(as_claim(claim("train", gpus=4, replacement="OnFailure")), each, [small]))

    assert replaced(busy, on_sick_node(west)) == ["west-0001"]
