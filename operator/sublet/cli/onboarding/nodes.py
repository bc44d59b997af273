"""GPU nodes as onboarding and doctor see them: what there is, what can't be sold and why."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from sublet.api.gpulease import GpuLease
from sublet.api.wording import how_many
from sublet.book.inventory import NodeState, Unfit
from sublet.cli.onboarding.findings import Finding, error, ok, warning
from sublet.cli.onboarding.pages import read_all
from sublet.fleet.counts import LOST, RELEASE_FORCED
from sublet.fleet.inventory import node_state, product_fault
from sublet.fleet.nodebook import GPU
from sublet.fleet.selector import GPU_PRESENT
from sublet.kube.session import ApiServer
from sublet.kube.wire import Node

PRODUCT: Final = "nvidia.com/gpu.product"
_NAMED: Final = 5

ADVICE: Final[Mapping[Unfit, str]] = {
    Unfit.BOOK_UNREADABLE: "book and claim labels of the node disagree; somebody wrote them by hand",
    Unfit.QUARANTINED: "a node's marks disagree with what claims have; see docs/drift.md",
    Unfit.NODE_OVERLAP: "another lease has marked it; give each lease a nodeSelector of its own",
    Unfit.FOREIGN_PODS: "pods that aren't a claim's hold GPUs there; move them away",
    Unfit.WRONG_PRODUCT: f"its label {PRODUCT} is none of the lease's names; see product, productAliases, nodeSelector",
    Unfit.LABELS_MISSING: "labels of NVIDIA's GPU feature discovery are missing; install it, or see its log",
    Unfit.MIG: "its GPUs are cut into slices; only whole GPUs are sold, so switch MIG off",
    Unfit.SHARING: "time-slicing or MPS shows its GPUs several times; switch that off in the device plugin",
    Unfit.COUNT_MISMATCH: f"allocatable {GPU} and the label nvidia.com/gpu.count differ; see the device plugin",
    Unfit.GPUS_LOST: f"it shows fewer {GPU} than its label nvidia.com/gpu.count or its book says; see the device plugin, or ask the landlord",
    Unfit.NOT_READY: "its kubelet isn't Ready; ask the landlord",
    Unfit.CORDONED: "it is cordoned; kubectl uncordon sells it again",
    Unfit.LEAVING: "a claim leaves it; it is sold again when that is done",
    Unfit.UNHEALTHY: "its conditions or taints say that it is sick; ask the landlord",
    Unfit.UPGRADING: "its GPU driver is being upgraded, or its device plugin is switched off",
    Unfit.NOT_WIPED: "a claim has left it, and the lease's cleanLabel doesn't say yet that it is wiped; see docs/howto/onboard.md",
    Unfit.SETTLING: "GPUs that were missing came back; they are sold again after a while in which they stay",
    Unfit.NOT_ADOPTED: "the operator hasn't taken it over yet; is it running, and has the lease begun?",
}
"""Why a node can't be sold, for a person, and what to do."""
UNSEEN: Final[Mapping[str, str]] = {
    Unfit.QUARANTINED.value: ADVICE[Unfit.QUARANTINED],
    Unfit.SETTLING.value: ADVICE[Unfit.SETTLING],
    LOST: "the lease's cluster was declared lost; see docs/incidents.md",
    RELEASE_FORCED: "a person's word took them from a claim, and nobody has seen them free; see docs/incidents.md",
}
"""Why GPUs aren't sold that nothing in their cluster shows to be so: the operator alone knows it, and counts them."""


async def gpu_nodes(api: ApiServer, selector: Mapping[str, str] | None = None) -> list[Node]:
    """Return the nodes that NVIDIA's GPU feature discovery marks as having GPUs."""
    labels = {GPU_PRESENT: "true", **(selector or {})}
    text = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    return await read_all(api, "/api/v1/nodes", Node, label_selector=text)


def is_whole(node: Node) -> bool:
    """Say whether a node's GPUs are whole ones that the labels describe rightly."""
    return _fault(node) is None


def gpus_of(node: Node) -> int:
    """Return how many GPUs a node shows."""
    text = node.status.allocatable.get(GPU, "")
    return int(text) if text.isdecimal() else 0


def hardware_findings(nodes: list[Node]) -> Iterator[Finding]:
    """Say which products a cluster has before any lease, and which nodes can't be sold as they are."""
    if not nodes:
        yield warning(
            f"no node has the label {GPU_PRESENT}=true yet; they get it from NVIDIA's GPU feature discovery"
        )
    products: Counter[str] = Counter()
    gpus: Counter[str] = Counter()
    unfit: dict[Unfit, list[str]] = defaultdict(list)
    for node in nodes:
        fault = _fault(node)
        if fault is not None:
            unfit[fault].append(node.metadata.name)
            continue
        products[node.metadata.labels[PRODUCT]] += 1
        gpus[node.metadata.labels[PRODUCT]] += gpus_of(node)
    for product, count in sorted(products.items()):
        yield ok(f"{how_many(count, 'node')} of {product} ({how_many(gpus[product], 'GPU')})")
    yield from _unfit_findings(unfit)


def lease_findings(nodes: list[Node], lease: GpuLease, foreign: set[str]) -> Iterator[Finding]:
    """Say how many nodes of a lease are sellable, and why the others aren't: as the operator judges them."""
    states = [
        node_state(n, lease, before=None, foreign_pods=n.metadata.name in foreign) for n in nodes
    ]
    unfit: dict[Unfit, list[str]] = defaultdict(list)
    for state in states:
        if state.unfit is not None:
            unfit[state.unfit].append(state.name)
    sellable = [state for state in states if state.unfit is None]
    text = (
        f"{len(sellable)} of {how_many(len(states), 'node')} can be sold: {_sum(sellable)} of {how_many(_sum(states), 'GPU')}, "
        f"{sum(s.held for s in sellable)} of them held by claims"
    )
    if not states:
        labels = ", ".join(f"{k}={v}" for k, v in sorted(lease.spec.node_selector.items()))
        text = f"no node has the label {GPU_PRESENT}=true" + (f" and {labels}" if labels else "")
    yield ok(text) if sellable else error(text)
    yield from _unfit_findings(unfit)


def counted_findings(lease: GpuLease) -> Iterator[Finding]:
    """Say which GPUs the operator doesn't sell for a reason that only it knows."""
    inventory = lease.status.inventory
    for each in inventory.unsellable if inventory is not None else ():
        if advice := UNSEEN.get(each.reason):
            gpus = how_many(each.gpus, "GPU")
            yield warning(f"{each.reason}: by the operator's count, {gpus} can't be sold: {advice}")


def _unfit_findings(unfit: Mapping[Unfit, list[str]]) -> Iterator[Finding]:
    for reason in Unfit:
        if names := unfit.get(reason):
            yield warning(f"{reason.value}: {some(names)}: {ADVICE[reason]}")


def some(names: Iterable[str]) -> str:
    """Write names for a person: the first few, and how many more."""
    every = sorted(names)
    more = f" and {len(every) - _NAMED} more" if len(every) > _NAMED else ""
    return ", ".join(every[:_NAMED]) + more


def _fault(node: Node) -> Unfit | None:
    product = node.metadata.labels.get(PRODUCT, "")
    return product_fault(node, (product,), gpus_of(node))


def _sum(states: Iterable[NodeState]) -> int:
    return sum(state.gpus for state in states)
