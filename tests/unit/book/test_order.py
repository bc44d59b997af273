"""Who comes first: priority, protected GPUs, weighted fair share, age."""

from collections import Counter
from dataclasses import replace

import pytest

from sublet.api.ids import TenantUID
from sublet.api.times import Millis, format_instant
from sublet.book.decisions import Reserve
from sublet.book.plan import plan
from tests.builders.api import NOW, as_claim, as_lease, as_tenant, claim, lease, tenant
from tests.builders.fleet import after, held, inventory, nodes, view

WEST = as_lease(lease(committed=400))
HOURS = ("2026-11-22T08:00:00Z", "2026-11-22T09:00:00Z")


def tenants(**specs):
    return tuple(
        as_tenant(tenant(name, namespaces=(name,), **spec)) for name, spec in specs.items()
    )


def asking(count: int, *names: str, **spec):
    """Return claims for a node each; all of the first tenant's are older than all of the next one's."""
    return [
        as_claim(
            claim(f"{name}-{i:02d}", name, **spec),
            creationTimestamp=f"2026-11-22T0{age}:{i:02d}:00Z",
        )
        for age, name in enumerate(names)
        for i in range(count)
    ]


def served(claims, payers, count: int = 8, **fields) -> Counter[str]:
    """Return how many claims of each tenant were reserved on so many nodes."""
    made = plan(
        view(claims, [(WEST, inventory(WEST, nodes(WEST, count)))], tenants=payers, **fields)
    )
    return Counter(d.tenant for d in made.decisions if isinstance(d, Reserve))


def test_equal_tenants_get_equal_shares_whoever_asked_first():
    assert served(asking(10, "early", "late"), tenants(early={}, late={})) == {
        "early": 4,
        "late": 4,
    }


def test_twice_the_weight_is_twice_the_gpus():
    payers = tenants(big={"weight": 300}, small={"weight": 100})

    assert served(asking(10, "small", "big"), payers) == {"big": 6, "small": 2}


def test_what_a_tenant_holds_already_counts():
    west = nodes(WEST, 8)
    has = held(as_claim(claim("old", "early", gpus=32)), WEST, west[:4], tenant_name="early")

    assert served([has, *asking(10, "early", "late")], tenants(early={}, late={})) == {"late": 4}


def test_what_a_tenant_doesnt_ask_for_goes_to_the_others():
    few = asking(1, "few")

    assert served([*few, *asking(10, "many")], tenants(few={}, many={})) == {"few": 1, "many": 7}


def test_protected_gpus_come_before_any_share():
    protected = {"weight": 1, "protectedGpus": [{"className": "h100", "gpus": 40}]}

    assert served(asking(10, "rest", "safe"), tenants(safe=protected, rest={})) == {
        "safe": 5,
        "rest": 3,
    }


SOON = {"startTime": format_instant(Millis(NOW + 60_000)), "durationSeconds": 36_000}
"""A window that begins in a minute."""


def test_windows_to_come_take_their_turns_like_claims_that_begin_now():
    early, late = asking(10, "early", schedule=SOON), asking(10, "late")

    assert served([*early, *late], tenants(early={}, late={})) == {"early": 4, "late": 4}


def test_windows_to_come_are_protected_as_far_as_gpus_are_and_no_further():
    safe = {"protectedGpus": [{"className": "h100", "gpus": 8}]}
    early, late = asking(10, "safe", schedule=SOON), asking(10, "rest")

    assert served([*early, *late], tenants(safe=safe, rest={})) == {"safe": 4, "rest": 4}


@pytest.mark.parametrize(("hours", "gpus", "first"), [(2, 16, "early"), (4, 8, "late")])
def test_a_promised_window_counts_in_the_share_of_claims_that_last_into_it(hours, gpus, first):
    start = format_instant(Millis(NOW + 3 * 3_600_000))
    window = {"startTime": start, "durationSeconds": 3_600}
    fleet, payers = [(WEST, inventory(WEST, nodes(WEST, 2)))], tenants(early={}, late={})
    promised = view(asking(1, "early", schedule=window), fleet, tenants=payers)
    promised = after(promised, plan(promised))
    lasting = {"gpus": gpus, "schedule": {"durationSeconds": hours * 3_600}}
    asked = asking(2, "early", "late", **lasting)[1::2]

    made = plan(replace(promised, claims=(*promised.claims, *asked)))

    assert [d.tenant for d in made.decisions if isinstance(d, Reserve)] == [first]


def test_priority_comes_before_protection_and_share():
    payers = tenants(
        safe={"protectedGpus": [{"className": "h100", "gpus": 80}]},
        urgent={"priorityClasses": ["high"]},
    )

    assert served(asking(6, "safe", "urgent"), payers, priorities={"high": 10}) == {
        "urgent": 6,
        "safe": 2,
    }


def past(**gpus: float):
    """Return what tenants held of the lease in the past, on average."""
    return {
        TenantUID(as_tenant(tenant(name)).metadata.uid): {WEST.metadata.uid: int(held * 1_000)}
        for name, held in gpus.items()
    }


def test_who_held_much_in_the_past_waits_behind_who_held_nothing():
    used = served(asking(10, "used", "new"), tenants(used={}, new={}), usage=past(used=64))

    assert used == {"new": 8}


def test_the_past_counts_less_as_it_fades():
    payers, claims = tenants(used={}, new={}), asking(10, "used", "new")

    faded = [served(claims, payers, usage=past(used=gpus))["used"] for gpus in (64, 32, 16, 8)]

    assert faded == [0, 2, 3, 4]


def test_the_past_is_weighed_like_the_present():
    payers = tenants(big={"weight": 400}, small={"weight": 100})

    many = served(asking(10, "small", "big"), payers, usage=past(big=32, small=8))

    assert many == served(asking(10, "small", "big"), payers)


def test_a_heavy_user_still_gets_what_nobody_else_asks_for():
    assert served(asking(10, "used"), tenants(used={}), usage=past(used=400)) == {"used": 8}


def test_the_past_holds_nobody_up_who_comes_behind():
    few, many = asking(1, "new", gpus=24), asking(2, "used")

    assert served([*few, *many], tenants(new={}, used={}), 2, usage=past(used=64)) == {"used": 2}


def test_usage_of_a_lease_that_is_gone_doesnt_count():
    gone = {uid: {"gone": 64_000} for uid in past(used=1)}

    assert served(asking(10, "used", "new"), tenants(used={}, new={}), usage=gone) == {
        "used": 4,
        "new": 4,
    }


@pytest.mark.parametrize("hour", [0, 1])
def test_a_tenants_own_claims_are_served_by_age(hour):
    first, second = (
        as_claim(claim(name, "acme"), creationTimestamp=HOURS[(i + hour) % 2])
        for i, name in enumerate(("a", "b"))
    )
    made = plan(view([first, second], [(WEST, inventory(WEST, nodes(WEST, 1)))]))

    (given,) = [d for d in made.decisions if isinstance(d, Reserve)]
    assert given.claim_uid == (second if hour else first).metadata.uid
    assert given.decided_ms == NOW
