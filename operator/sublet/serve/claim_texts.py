"""What a claim's object says of itself, as samples in text; the same in both formats, as all of it is gauges. Pure."""

from collections import Counter
from collections.abc import Mapping
from typing import Final, NamedTuple

from sublet.api.gpuclaim import GpuClaim
from sublet.api.move_status import usable_nodes
from sublet.api.times import MS_PER_SECOND
from sublet.book.holdings import holds

Texts = tuple[str, str, str, str, str, str, str]
"""Samples, family by family; of a family without samples it is empty."""


class Family(NamedTuple):
    """A family of samples."""

    name: str
    kind: str
    text: str


OBJECT: Final = (
    Family("sublet_claim_info", "gauge", "A claim, its class, tenant and kind of pricing."),
    Family(
        "sublet_claim_status_condition", "gauge", "1 for each condition of a claim and its status."
    ),
    Family("sublet_claim_gpus", "gauge", "GPUs that a claim asks for."),
    Family(
        "sublet_claim_end_timestamp_seconds",
        "gauge",
        "When a claim that has GPUs, or is promised them, ends.",
    ),
    Family(
        "sublet_claim_namespace_info",
        "gauge",
        "The namespace of a leased cluster in which a claim's pods run, for joins with what is measured there.",
    ),
    Family(
        "sublet_claim_held_gpus",
        "gauge",
        "GPUs of a leased cluster that a claim's pods may use from its namespace there.",
    ),
    Family(
        "sublet_node_claim_info",
        "gauge",
        "A node of a leased cluster of which a claim holds GPUs, for joins with what is measured there.",
    ),
)
"""What is said of objects, in the order of `Texts`."""


def texts_of(claim: GpuClaim, who: str, leases: Mapping[str, str]) -> Texts:
    """Return the samples of a claim; `who` it is as labels, `leases`: UID -> name."""
    held = claim.status.allocation
    info, conditions, gpus, ends, homes, shares, nodes = (family.name for family in OBJECT)
    tenant = escaped(held.tenant) if held is not None else ""
    pricing = held.pricing.value if held is not None else ""
    said = "".join(
        f'{conditions}{{{who},condition="{c.type}",status="{c.status.value}"}} 1\n'
        for c in claim.status.conditions
    )
    whose = f'{who},tenant="{tenant}"'
    rooms = _rooms(claim, leases)
    end = ""
    # the status keeps what was held last: of a claim that waits again its end is past, or isn't one
    if held is not None and held.until_time is not None and holds(claim):
        end = f"{ends}{{{who}}} {held.until_time / MS_PER_SECOND}\n"
    return (
        f'{info}{{{who},class="{escaped(claim.spec.class_name)}",tenant="{tenant}",pricing="{pricing}"}} 1\n',
        said,
        f"{gpus}{{{who}}} {claim.spec.gpus}\n",
        end,
        "".join(f"{homes}{{{room},{whose}}} 1\n" for room in rooms),
        "".join(f"{shares}{{{room},{whose}}} {held}\n" for room, held in rooms.items()),
        _nodes(claim, leases, whose, nodes),
    )


def _rooms(claim: GpuClaim, leases: Mapping[str, str]) -> dict[str, int]:
    """Return cluster and namespace, as labels, -> GPUs: every pod on a claim's GPUs is in the claim's own namespace, so that nobody has to look at pods."""
    access = claim.status.access
    if access is None or claim.status.allocation is None:
        return {}
    gpus = Counter[tuple[str, str]]()  # (tenant alias, lease) -> GPUs
    for place in usable_nodes(claim):
        gpus[place.lease, leases.get(place.lease_uid, place.lease_uid)] += place.gpus
    return {
        f'cluster="{escaped(lease)}",workload_namespace="{each.namespace}"': held
        for each in access.clusters
        for (alias, lease), held in sorted(gpus.items())
        if alias == each.alias
    }


def _nodes(claim: GpuClaim, leases: Mapping[str, str], who: str, name: str) -> str:
    if not holds(claim):
        return ""
    return "".join(
        f'{name}{{cluster="{escaped(leases.get(p.lease_uid, p.lease_uid))}",node="{escaped(p.node)}",{who}}} 1\n'
        for p in usable_nodes(claim)
    )


def who_is(namespace: str, name: str, uid: str) -> str:
    """Return the labels that say which claim it is."""
    return f'namespace="{escaped(namespace)}",claim="{escaped(name)}",uid="{escaped(uid)}"'


def escaped(value: str) -> str:
    """Return the value of a label as the text formats want it."""
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
