"""What was promised on GPUs with enough memory is kept and handed over, whatever classes ask for meanwhile."""

from dataclasses import replace

import pytest

from sublet.api.gpuclaim import GpuClaim
from sublet.api.times import format_instant
from sublet.book.decisions import Notice, Refuse
from sublet.book.plan import plan
from sublet.book.view import View
from tests.builders.api import as_claim, as_class, as_lease, claim, gpu_class, lease
from tests.builders.fleet import after, inventory, nodes, refusal_of, reserve_of, view
from tests.builders.windows import at

SMALL, LARGE = 81_559, 143_771
WEST = as_lease(lease("west", committed=64))


def offered(memory: int | None, *others: int):
    """Return the class with what it asks for of memory, and other classes of the same product."""
    requires = {"memoryMiB": memory} if memory else {}
    more = [as_class(gpu_class(f"o{m}", requires={"memoryMiB": m})) for m in others]
    return (as_class(gpu_class(requires=requires)), *more)


def fleet(*memories: int):
    found = [
        replace(n, memory_mib=m, clique="rack")
        for n, m in zip(nodes(WEST, len(memories)), memories, strict=True)
    ]
    return [(WEST, inventory(WEST, found))]


def window(name: str = "train", gpus: int = 16, **spec) -> GpuClaim:
    schedule = {"startTime": format_instant(at(4)), "durationSeconds": 7_200}
    return as_claim(claim(name, gpus=gpus, schedule=schedule, **spec))


def promised(memory: int | None, *memories: int, others=(), **spec) -> View:
    seen = view([window(**spec)], fleet(*memories), classes=offered(memory, *others))
    return after(seen, plan(seen))


changes = pytest.mark.parametrize(
    ("before", "then"),
    [
        ((None,), (80_000,)),
        ((80_000,), (None,)),
        ((80_000,), (81_000,)),
        ((80_000,), (140_000,)),
        ((80_000,), (80_000, 140_000)),
        ((80_000, 140_000), (80_000,)),
        ((80_000, 140_000), (140_000,)),
    ],
)


@changes
@pytest.mark.parametrize("topology", [{"scope": "NVLinkDomain"}, {"scope": "Any"}])
def test_a_promise_stands_when_what_classes_ask_for_changes(before, then, topology):
    seen = promised(before[0], LARGE, LARGE, others=before[1:], topology=topology)
    rival = window("rival", gpus=8)
    seen = replace(seen, classes=offered(then[0], *then[1:]), claims=(*seen.claims, rival))

    made = plan(seen)

    assert [type(d) for d in made.decisions if not isinstance(d, Notice)] == [Refuse]
    refusal_of(made, rival)
    later = replace(seen, now_ms=at(4), claims=seen.claims[:1])
    assert len(reserve_of(plan(later), later.claims[0]).placements) == 2


@changes
def test_it_is_handed_over_on_nodes_that_a_change_of_classes_tells_apart(before, then):
    seen = promised(before[0], SMALL, LARGE, others=())
    seen = replace(seen, classes=offered(then[0], *then[1:]))
    seen = after(seen, plan(seen))

    later = replace(seen, now_ms=at(4))
    assert len(reserve_of(plan(later), later.claims[0]).placements) == 2
