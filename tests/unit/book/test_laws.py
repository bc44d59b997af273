"""Laws over fleets that live: nobody waits for who can't be served, everybody's turn comes, a restart changes nothing."""

from dataclasses import replace
from typing import Any, TypeVar

from hypothesis import HealthCheck, event, given, settings, strategies as st

from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.gputenant import GpuTenant
from sublet.api.ids import ClaimUID
from sublet.api.schema import ApiModel
from sublet.api.times import format_instant
from sublet.book.decisions import Decision, Refuse, Reserve, Take
from sublet.book.holdings import holds
from sublet.book.plan import plan
from sublet.book.view import View
from tests.builders.api import as_claim, as_lease, as_tenant, claim, lease, tenant
from tests.builders.fleet import after, inventory, nodes, released, view
from tests.builders.histories import histories, passes
from tests.builders.windows import at

UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
M = TypeVar("M", bound=ApiModel)
PRIORITIES = {"low": 0, "high": 10}
TENANTS = tuple(
    as_tenant(tenant(n, namespaces=(n,), priorityClasses=[*PRIORITIES])) for n in ("acme", "globex")
)


def asking(name: str, index: int, gpus: int, priority: str, hour: float, **spec: Any) -> GpuClaim:
    """Return a claim that comes at an hour."""
    namespace = ("acme", "globex")[index % 2]
    body = claim(name, namespace, gpus=gpus, priorityClassName=priority, **spec)
    return as_claim(body, creationTimestamp=format_instant(at(hour)))


@st.composite
def crowds(draw: st.DrawFn) -> View:
    """Return two small leases and claims of all sorts that fit them, each for a time, some ahead."""
    fleet = []
    for name, count in (("west", draw(st.integers(1, 3))), ("east", draw(st.integers(1, 2)))):
        each = as_lease(lease(name, term={"quarantineSeconds": draw(st.sampled_from([0, 1800]))}))
        fleet.append((each, inventory(each, nodes(each, count))))
    largest = 8 * sum(len(found.nodes) for _, found in fleet)
    claims = []
    for index in range(draw(st.integers(1, 10))):
        gpus = min(draw(st.sampled_from([1, 2, 4, 8, 16, 24])), largest)
        schedule: dict[str, Any] = {"durationSeconds": draw(st.sampled_from([1, 2, 5])) * 3600}
        hour = draw(st.integers(0, 6))
        if draw(st.integers(0, 3)) == 0:
            schedule["startTime"] = format_instant(at(hour + draw(st.integers(1, 6))))
        priority = draw(st.sampled_from(["low", "low", "high"]))
        claims.append(asking(f"c{index}", index, gpus, priority, hour, schedule=schedule))
    return view(claims, fleet, tenants=TENANTS, priorities=PRIORITIES)


@settings(UNTIMED, max_examples=60)
@given(crowds())
def test_every_claim_that_fits_has_its_turn_once_nobody_comes_any_more(seen: View):
    """But for windows of their own, which may be over before there was room."""
    everybody, seen = seen.claims, replace(seen, claims=())
    served: set[str] = set()
    for step in range(160):
        now = at(step / 2)
        new = [c for c in everybody if c.metadata.creation_timestamp == now]
        claims = (_gone(c, now) if _is_over(c, now) else c for c in (*seen.claims, *new))
        seen = replace(seen, now_ms=now, claims=tuple(claims))
        made = plan(seen)
        served |= {d.claim_uid for d in made.decisions if isinstance(d, Reserve)}
        seen = after(seen, made)

    missed = [c for c in everybody if c.metadata.uid not in served]
    event(f"windows missed: {len(missed)}")
    assert all(c.spec.schedule.start_time is not None for c in missed)


@settings(UNTIMED, max_examples=60)
@given(crowds(), st.sampled_from(["gpus", "place", "quota"]))
def test_nobody_waits_for_a_claim_of_higher_rank_that_cant_be_served(seen: View, why: str):
    seen = replace(seen, claims=tuple(c for c in seen.claims if c.spec.schedule.start_time is None))
    specs: dict[str, dict[str, Any]] = {
        "gpus": {"gpus": 4_096},
        "place": {"gpus": 8, "placement": {"jurisdictions": ["US"]}},
        "quota": {"gpus": 8},
    }
    first = as_claim(claim("first", "strict", priorityClassName="high", **specs[why]))
    quotas = [{"className": "h100", "gpus": 4}] if why == "quota" else []
    strict = as_tenant(
        tenant("strict", namespaces=("strict",), priorityClasses=["high"], quotas=quotas)
    )
    seen = replace(seen, tenants=(*seen.tenants, strict))
    crowded = plan(replace(seen, claims=(first, *seen.claims)))

    alone = {d.claim_uid: d for d in plan(seen).decisions}
    others = [d for d in crowded.decisions if d.claim_uid != first.metadata.uid]
    assert {d.claim_uid: _served(d) for d in others} == {u: _served(d) for u, d in alone.items()}


@settings(UNTIMED, max_examples=40)
@given(histories())
def test_a_restart_changes_no_decision(history):
    """All that a pass knows is in objects: what is read back from their text is decided the same."""
    for seen, made in passes(history):
        again = replace(
            seen,
            claims=tuple(_read_back(GpuClaim, c) for c in seen.claims),
            leases=tuple(_read_back(GpuLease, x) for x in seen.leases),
            tenants=tuple(_read_back(GpuTenant, t) for t in seen.tenants),
        )
        assert plan(again) == made


def _read_back(model: type[M], each: M) -> M:
    return model.model_validate_json(each.model_dump_json(by_alias=True, exclude_none=True))


def _served(decision: Decision) -> object:
    if isinstance(decision, Refuse):
        return (decision.reason, decision.estimated_ms)
    return decision


def _is_over(each: GpuClaim, now: int) -> bool:
    allocation = each.status.allocation
    until = allocation.until_time if allocation is not None and holds(each) else None
    return until is not None and until <= now


def _gone(each: GpuClaim, now: int) -> GpuClaim:
    taken = Take(ClaimUID(each.metadata.uid), "Completed", now)
    return released(each, taken, now)
