"""What each CEL rule accepts and refuses, by kind, path and message of the rule."""

from typing import Any

from tests.builders.api import LONG_AGO, claim, gpu_class, lease, statement, tenant, uid_of
from tests.integration.api.append_only import (
    append_only,
    append_only_buy_prices,
    append_only_discounts,
)
from tests.integration.api.asking import Body, change
from tests.integration.api.list_examples import LATER, LISTS
from tests.integration.api.rule_case import UID, Case, Examples, Key

FIXED: tuple[
    tuple[str, Any, Any], ...
] = (  # what can't change while a claim is reserved, a value, another
    ("className", "h100", "h200"),
    ("gpus", 8, 16),
    ("gpusPerNode", 4, 8),
    ("minGpus", 4, 8),
    ("topology", {"scope": "Node"}, {"scope": "Any"}),
    ("placement", {"regions": ["r1"]}, {"regions": ["r1", "r9"]}),
    ("priorityClassName", "low", "high"),
    ("schedule.startTime", "2026-12-31T00:00:00Z", "2026-12-31T01:00:00Z"),
)
_NAMES = [name for name, _, _ in FIXED]
CANNOT = "can't change while the claim is reserved; make a new claim"


def _pinned(uid: str) -> Body:
    return change(lease(), "clusterRef.clusterUID", uid)


def _changes(first: Body, accepted: list[Body], refused: list[Body], **states: str) -> Examples:
    return Examples(
        tuple(Case(body, first, states) for body in accepted),
        tuple(Case(body, first, states) for body in refused),
    )


def _fixed_while_reserved() -> Examples:
    reserved = {"Reserved": "True"}
    accepted, refused = [], []
    for name, value, other in FIXED:
        old, new = change(claim(), name, value), change(claim(), name, other)
        accepted += [
            Case(change(old, "suspended", True), old, reserved),
            Case(new, old, {"Reserved": "False"}),
            Case(new, old),
        ]
        changes = [(old, new)]
        if name not in claim()["spec"]:
            changes += [(claim(), old), (old, claim())]
        refused += [Case(to, was, reserved, said=f"{name} {CANNOT}") for was, to in changes]
    two = change(change(claim(), "gpus", 16), "className", "h200")
    refused.append(Case(two, claim(), reserved, said=f"className gpus {CANNOT}"))
    return Examples(tuple(accepted), tuple(refused))


def _placed(gpus: int, scope: str | None = None, *, required: bool = True, **spec: Any) -> Case:
    """Return a new claim with a scope and wishes for its placement."""
    extra = {} if scope is None else {"topology": {"scope": scope, "required": required}}
    per_node = spec.pop("gpusPerNode", None)
    return Case(
        claim(
            gpus=gpus,
            placement=spec,
            **extra,
            **({} if per_node is None else {"gpusPerNode": per_node}),
        )
    )


def _starting(at: str) -> Case:
    return Case(claim(schedule={"startTime": at, "durationSeconds": 1}))


def _phases(*starts: str) -> Body:
    steps = [
        {"commitmentId": f"step-{number}", "startTime": start, "gpus": 64}
        for number, start in enumerate(starts)
    ]
    return lease(commitment={"phases": steps})


def _with_option(**fields: Any) -> Body:
    option = {"exerciseByTime": "2026-12-01T00:00:00Z", "startTime": LATER, "gpus": 8, **fields}
    return change(lease(), "commitment.options", [option])


def _fixed(first: Body, name: str, other: str, allowed: Body) -> Examples:
    return _changes(first, [first, allowed], [change(first, name, other)])


_PRICES = "prices are append-only: add an entry with a later effectiveTime"
_CLOSED = change(lease(), "acceptingClaims", False)
_MADRID = lease(billing={"timeZone": "Europe/Madrid", "dayCutHour": 17})
_LOST = lease(lost={"leaseUID": UID, "time": LONG_AGO, "by": "admin"})
A, B = uid_of("a cluster"), uid_of("another cluster")
_LABELLED = {**claim(), "metadata": {**claim()["metadata"], "labels": {"team": "a"}}}

EXAMPLES: dict[Key, Examples] = {
    **LISTS,
    (
        "GpuClaim",
        "",
        f"{', '.join(_NAMES[:-1])} and {_NAMES[-1]} {CANNOT}",
    ): _fixed_while_reserved(),
    (
        "GpuClaim",
        ".spec.schedule.startTime",
        "startTime must be in the years 1970 to 8999",
    ): Examples(
        accepted=tuple(
            _starting(at)
            for at in ("1970-01-01T00:00:00Z", "1969-12-31T23:00:00-01:00", "8999-12-31T23:59:59Z")
        ),
        refused=tuple(
            _starting(at)
            for at in (
                "0001-01-01T00:00:00+14:00",
                "1970-01-01T00:30:00+01:00",
                "9000-01-01T00:00:00Z",
                "9999-12-31T23:59:59-01:00",
            )
        ),
    ),
    ("GpuClaim", ".spec", "minGpus must be at most gpus"): Examples(
        accepted=(Case(claim(gpus=8, minGpus=8)), Case(claim(gpus=8))),
        refused=(Case(claim(gpus=8, minGpus=9)),),
    ),
    ("GpuClaim", "", "this claim has ended for good; delete it and make a new one"): Examples(
        accepted=(
            Case(_LABELLED, claim(), {"Ended": "True"}),
            Case(claim(suspended=True), claim(), {"Ended": "False"}),
        ),
        refused=(
            Case(claim(suspended=True), claim(), {"Ended": "True"}),
            Case(claim(gpus=16), claim(), {"Ended": "True"}),
            Case(claim(tags={"a": "b"}), claim(), {"Ended": "True"}),
        ),
    ),
    ("GpuClaim", ".spec", "gpus must be a multiple of gpusPerNode"): Examples(
        accepted=(Case(claim(gpus=16, gpusPerNode=8)), Case(claim(gpus=3))),
        refused=(Case(claim(gpus=8, gpusPerNode=3)), Case(claim(gpus=4, gpusPerNode=8))),
    ),
    (
        "GpuClaim",
        ".spec",
        "a tag's name must be letters, digits, '-', '_' or '.', at most 63 of them",
    ): Examples(
        accepted=(
            Case(claim(tags={"cost-centre_1.a": "an y/thing"})),
            Case(claim(tags={"a" * 63: ""})),
        ),
        refused=tuple(Case(claim(tags={name: "x"})) for name in ("a b", "", "-a", "a" * 64, "é")),
    ),
    (
        "GpuClaim",
        ".spec",
        "minClusters above 1 contradicts a scope within one cluster; use scope Any, or required: false",
    ): Examples(
        accepted=(
            _placed(16, minClusters=2),
            _placed(16, "Any", minClusters=2),
            _placed(16, "Cluster", required=False, minClusters=2),
            _placed(16, "Cluster", minClusters=1),
        ),
        refused=tuple(
            _placed(16, scope, minClusters=2) for scope in ("Node", "NVLinkDomain", "Cluster")
        ),
    ),
    (
        "GpuClaim",
        ".spec",
        "one node has one provider: a share below 100 percent contradicts scope Node",
    ): Examples(
        accepted=(
            _placed(16, "Node", maxSharePerProviderPercent=100),
            _placed(16, "Node", required=False, maxSharePerProviderPercent=50),
            _placed(16, "Cluster", maxSharePerProviderPercent=50),
        ),
        refused=(_placed(16, "Node", maxSharePerProviderPercent=99),),
    ),
    (
        "GpuClaim",
        ".spec",
        "the claim has fewer nodes than minClusters; ask for more GPUs or fewer clusters",
    ): Examples(
        accepted=(_placed(2, minClusters=2), _placed(16, gpusPerNode=8, minClusters=2)),
        refused=(_placed(1, minClusters=2), _placed(16, gpusPerNode=8, minClusters=3)),
    ),
    (
        "GpuClaim",
        ".spec",
        "no provider may have as much as one node of the claim; ask for more GPUs or a larger share",
    ): Examples(
        accepted=(
            _placed(2, maxSharePerProviderPercent=50),
            _placed(24, gpusPerNode=8, maxSharePerProviderPercent=34),
        ),
        refused=(
            _placed(2, maxSharePerProviderPercent=49),
            _placed(24, gpusPerNode=8, maxSharePerProviderPercent=33),
        ),
    ),
    ("GpuClass", ".spec", "currency can't change; make a new class"): _fixed(
        gpu_class(), "currency", "EUR", change(gpu_class(), "maxDurationSeconds", 60)
    ),
    ("GpuClass", ".spec.prices", _PRICES): append_only(gpu_class()),
    ("GpuLease", ".spec.prices", _PRICES): append_only_buy_prices(),
    (
        "GpuTenant",
        ".spec.discounts",
        "discounts are append-only: add an entry with a later effectiveTime",
    ): append_only_discounts(),
    (
        "GpuTenant",
        ".spec",
        "discounts are append-only: add an entry with a later effectiveTime",
    ): Examples(
        accepted=(Case(tenant(), tenant()), Case(tenant(), tenant(discounts=[]))),
        refused=(Case(tenant(), tenant(discounts=[{"effectiveTime": LONG_AGO, "percent": 10}])),),
    ),
    (
        "GpuLease",
        "",
        "the cluster counts as lost already, and its claims have ended; make a new lease if it is back",
    ): Examples(
        accepted=(
            Case(_LOST, lease()),
            Case(_LOST, lease(), {"Lost": "False"}),
            Case(_CLOSED, lease(), {"Lost": "True"}),
        ),
        refused=(Case(_LOST, lease(), {"Lost": "True"}),),
    ),
    (
        "GpuLease",
        "",
        "clusterUID can't become another than status.clusterUID; make a new lease for another cluster",
    ): Examples(
        accepted=(
            Case(lease(), _pinned(A)),
            Case(_pinned(A), lease()),
            Case(_pinned(A), lease(), status={"clusterUID": A}),
            Case(_pinned(A), _pinned(B), status={"clusterUID": A}),
            Case(
                change(_pinned(B), "acceptingClaims", False), _pinned(B), status={"clusterUID": A}
            ),
            Case(lease(), _pinned(B), status={"clusterUID": A}),
        ),
        refused=(
            Case(_pinned(B), lease(), status={"clusterUID": A}),
            Case(_pinned(B), _pinned(A), status={"clusterUID": A}),
        ),
    ),
    ("GpuLease", ".spec", "currency can't change; make a new lease"): _fixed(
        lease(), "currency", "EUR", _CLOSED
    ),
    ("GpuLease", ".spec", "product can't change; make a new lease"): _fixed(
        lease(), "product", "NVIDIA-B200", _CLOSED
    ),
    ("GpuLease", ".spec", "tenantAlias can't change; make a new lease"): _fixed(
        lease(), "tenantAlias", "other", _CLOSED
    ),
    (
        "GpuLease",
        ".spec",
        "billing.timeZone and billing.dayCutHour can't change: months that were metered end by them; make a new lease",
    ): Examples(
        accepted=(
            Case(change(_MADRID, "billing.minimumSeconds", 60), _MADRID),
            Case(change(lease(), "billing.minimumSeconds", 60), lease()),
        ),
        refused=(
            Case(change(_MADRID, "billing.timeZone", "Asia/Tokyo"), _MADRID),
            Case(change(_MADRID, "billing.dayCutHour", 0), _MADRID),
            Case(lease(), _MADRID),
        ),
    ),
    (
        "GpuLease",
        ".spec.clusterRef",
        "give exactly one of kubeconfigSecretRef and inCluster",
    ): Examples(
        accepted=(Case(lease()), Case(lease(clusterRef={"inCluster": {}}))),
        refused=(
            Case(lease(clusterRef={})),
            Case(change(lease(), "clusterRef.inCluster", {})),
        ),
    ),
    (
        "GpuLease",
        ".spec.commitment",
        "two phases have the same startTime; the one that doesn't hold must go",
    ): Examples(
        accepted=(Case(_phases(LONG_AGO)), Case(_phases(LONG_AGO, LATER))),
        refused=(
            Case(_phases(LONG_AGO, LONG_AGO)),
            Case(_phases(LATER, LONG_AGO, "2027-01-01T01:00:00+01:00")),
        ),
    ),
    (
        "GpuLease",
        ".spec.commitment",
        "mode can't change; make a new lease",
    ): Examples(
        accepted=(Case(_CLOSED, lease()), Case(lease(), change(lease(), "commitment.mode", None))),
        refused=(
            Case(lease(mode="PayAsYouGo"), lease()),
            Case(change(lease(), "commitment.mode", None), lease(mode="PayAsYouGo")),
        ),
    ),
    (
        "GpuLease",
        ".spec.maintenance[]",
        "a window's endTime must be later than its startTime",
    ): Examples(
        accepted=tuple(
            Case(lease(maintenance=[{"startTime": LATER, "endTime": end}]))
            for end in ("2027-01-01T00:00:01Z", "2027-01-01T00:30:00-01:00")
        ),
        refused=tuple(
            Case(lease(maintenance=[{"startTime": LATER, "endTime": end}]))
            for end in (LATER, "2026-12-31T00:00:00Z", "2027-01-01T00:30:00+01:00")
        ),
    ),
    (
        "GpuLease",
        ".spec.commitment.options[]",
        "exerciseByTime must not be later than startTime",
    ): Examples(
        accepted=(Case(_with_option()), Case(_with_option(exerciseByTime=LATER))),
        refused=(Case(_with_option(exerciseByTime="2027-01-02T00:00:00Z")),),
    ),
    (
        "GpuLease",
        ".spec.commitment",
        "an option that was exercised stays as it is",
    ): Examples(
        accepted=(
            Case(_with_option(exercised=True), _with_option()),
            Case(_with_option(gpus=16), _with_option()),
            Case(_with_option(exercised=True), _with_option(exercised=True)),
        ),
        refused=(
            Case(_with_option(exercised=False), _with_option(exercised=True)),
            Case(_with_option(exercised=True, gpus=16), _with_option(exercised=True)),
            Case(change(lease(), "commitment.options", []), _with_option(exercised=True)),
            Case(lease(), _with_option(exercised=True)),
        ),
    ),
    ("GpuLease", ".spec.term", "startTime can't change"): _changes(
        lease(),
        [lease(end=LATER), change(lease(), "term.startTime", "2026-01-01T01:00:00+01:00")],
        [change(lease(), "term.startTime", "2026-02-01T00:00:00Z")],
    ),
    ("GpuLease", ".spec.term", "endTime must be later than startTime"): Examples(
        accepted=tuple(Case(lease(end=at)) for at in (None, LATER, "2025-12-31T23:30:00-01:00")),
        refused=tuple(
            Case(lease(end=at))
            for at in ("2025-01-01T00:00:00Z", LONG_AGO, "2026-01-01T00:30:00+01:00")
        ),
    ),
    (
        "GpuStatement",
        ".spec",
        "a statement is always of the same tenant, month and currency",
    ): _changes(
        statement(),
        [statement()],
        [statement(currency="EUR"), statement(month="2026-12"), statement(tenant="globex")],
    ),
}
"""Times with an offset show that instants are compared, not texts."""
