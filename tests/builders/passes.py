"""Views for records: everything in them is named so that no other word looks like it, and nothing is left empty.

Every name begins with `qx`, so that a test can look for it in a text; prices have digits that no count has.
"""

from dataclasses import replace

from hypothesis import strategies as st

from sublet.api.common import Condition, Status
from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import GpuLease, NodeSharing
from sublet.api.ids import ClaimUID, ClusterUID, TenantUID
from sublet.book.inventory import Holding, LeaseInventory, NodeState, Reach, Unfit
from sublet.book.view import View
from tests.builders.api import (
    LONG_AGO,
    NOW,
    as_claim,
    as_class,
    as_lease,
    as_tenant,
    claim,
    gpu_class,
    lease,
    tenant,
    uid_of,
)
from tests.builders.fleet import held, inventory, nodes, view

TENANTS = ("qxacme", "qxglobex")
CLASSES = {"qxbig": ("NVIDIA-H100-80GB-HBM3", 8), "qxsmall": ("NVIDIA-GB200", 4)}
BUY = ("1.713571", "2.713573", "2.713577", "3.713579")
SELL = ("3.917531", "4.917533")
LIMITS = (None, "3.817537", "9.917539")
PRIORITIES = {"qxlow": -10, "qxmiddle": 0, "qxhigh": 1000}
ENDS = (None, None, None, "2026-11-22T10:30:00Z", "2027-01-01T00:00:00Z")

names = st.permutations(["qxz", "qxb", "qxm", "qxa", "qxy"])


@st.composite
def views(draw: st.DrawFn) -> View:
    """Draw a fleet with holdings, and claims of all sorts; names, UIDs and ages in no common order."""
    fleet = [draw(leased(name)) for name in draw(names)[: draw(st.integers(1, 4))]]
    holders = [draw(holder(i, each, found)) for i, (each, found) in enumerate(fleet)]
    asked = [
        draw(asking(f"{name}-{i}"))
        for i, name in enumerate(draw(names) + draw(names))
        if draw(st.booleans())
    ]
    quota = [{"className": "qxbig", "gpus": draw(st.sampled_from([4, 24, 64]))}]
    return view(
        [*asked, *(each for each in holders if each is not None)],
        fleet,
        classes=tuple(
            as_class(gpu_class(name, products=(product,), price=draw(st.sampled_from(SELL))))
            for name, (product, _) in CLASSES.items()
        ),
        tenants=tuple(
            as_tenant(
                tenant(n, namespaces=(f"{n}-ns",), quotas=quota, priorityClasses=[*PRIORITIES])
            )
            for n in TENANTS
        ),
        priorities=dict(PRIORITIES),
        default_tenant=draw(st.sampled_from([None, *TENANTS])),
    )


@st.composite
def leased(draw: st.DrawFn, name: str) -> tuple[GpuLease, LeaseInventory]:
    """Draw a lease and its nodes, some held by a claim that the hub doesn't know, some unfit."""
    product, size = CLASSES[draw(st.sampled_from([*CLASSES]))]
    body = lease(
        name,
        product=product,
        committed=draw(st.sampled_from([0, 12, 24, 48, 48])),
        jurisdiction=draw(st.sampled_from(["EU", "US"])),
        region=f"qxregion{draw(st.integers(1, 2))}",
        mode=draw(st.sampled_from(["TakeOrPay", "PayAsYouGo"])),
        end=draw(st.sampled_from(ENDS)),
        provider=f"qxlandlord-{name}",
        hostProvider="qxhost",
        contract={"id": f"qxpaper-{name}", "name": "qxframe work"},
        prices=[{"effectiveTime": LONG_AGO, "perGpuHour": draw(st.sampled_from(BUY))}],
        nodeSharing=draw(st.sampled_from([*NodeSharing])).value,
        nodeSelector={"qxlabel": "qxvalue"},
        tenantAccess={"deniedCIDRs": ["10.209.208.0/24"]},
    )
    each = as_lease(body, labels={"qxteam": "qxgreen"}, resourceVersion="77123")
    all_nodes = nodes(each, draw(st.integers(1, 6)), gpus=size, zones=("qxza", "qxzb"))
    found = [draw(seen(node)) for node in all_nodes]
    reach = draw(st.sampled_from([Reach.REACHABLE] * 5 + [Reach.UNREACHABLE]))
    cluster = ClusterUID(uid_of(f"cluster-{draw(st.integers(1, 3))}"))
    return each, inventory(each, found, reach=reach, cluster_uid=cluster)


@st.composite
def seen(draw: st.DrawFn, node: NodeState) -> NodeState:
    """Draw what a node's own book says, mostly nothing."""
    state = draw(st.sampled_from(["free"] * 6 + ["stranger", "known", "unfit"]))
    if state == "free":
        return node
    if state == "unfit":
        return replace(node, unfit=Unfit.CORDONED, clique="qxclique")
    whose = TenantUID(as_tenant(tenant(TENANTS[0])).metadata.uid) if state == "known" else None
    stranger = (Holding(ClaimUID(uid_of("stranger")), draw(st.integers(1, node.gpus))),)
    return replace(node, holdings=stranger, tenant_uid=whose)


@st.composite
def holder(draw: st.DrawFn, index: int, each: GpuLease, found: LeaseInventory) -> GpuClaim | None:
    """Draw a claim that holds the first node of a lease, if that is free."""
    node = next((n for n in found.nodes.values() if not n.holdings), None)
    if node is None or draw(st.booleans()):
        return None
    class_name = next(n for n, (product, _) in CLASSES.items() if product == each.spec.product)
    body = claim(f"qxholder{index}", "qxacme-ns", class_name=class_name, gpus=node.gpus)
    until = draw(st.sampled_from([None, NOW - 1, NOW + 3_600_000]))
    one = held(as_claim(body), each, [node], until_ms=until, tenant_name="qxacme")
    allocation = one.status.allocation
    assert allocation is not None
    stamped = allocation.model_copy(
        update={"requested_by": "qxjane@qxacme", "tags": {"qxcentre": "qx4711 north"}}
    )
    return one.model_copy(update={"status": one.status.model_copy(update={"allocation": stamped})})


@st.composite
def asking(draw: st.DrawFn, name: str) -> GpuClaim:
    """Draw a claim that waits."""
    optional = {
        "maxPricePerGpuHour": draw(st.sampled_from((None,) * 4 + LIMITS)),
        "priorityClassName": draw(st.sampled_from([*[None, *PRIORITIES] * 3, "qxother"])),
        "gpusPerNode": None,
    }
    body = claim(
        name,
        f"{draw(st.sampled_from([*TENANTS * 5, 'qxnobody']))}-ns",
        class_name=draw(st.sampled_from([*[*CLASSES] * 5, "qxmissing"])),
        gpus=draw(st.sampled_from([1, 2, 4, 8, 12, 16, 24])),
        placement={
            "jurisdictions": draw(st.sampled_from([[], [], [], ["EU"]])),
            "leases": {"deny": draw(st.sampled_from([[], ["qxb"]]))},
        },
        schedule={"durationSeconds": draw(st.sampled_from([None, 600, 86_400]))},
        tags={"qxproject": "qxsecret plan"},
        suspended=draw(st.sampled_from([False] * 9 + [True])),
        **{key: value for key, value in optional.items() if value is not None},
    )
    one = as_claim(body, creationTimestamp=f"2026-11-22T0{draw(st.integers(7, 9))}:00:00Z")
    condition = Condition(
        type="Ready",
        status=Status.FALSE,
        reason="WaitingForCapacity",
        message="qxlandlord-qxa has no room",
        last_transition_time=NOW,
    )
    return one.model_copy(
        update={"status": one.status.model_copy(update={"conditions": (condition,)})}
    )
