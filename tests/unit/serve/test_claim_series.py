"""Series of single claims: their limit, their end, and the text in which they are written."""

from collections.abc import Sequence
from typing import Any

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from sublet.api import move_status
from sublet.api.claim_status import allocation_of
from sublet.api.common import Condition, Status
from sublet.api.gpuclaim import Access, ClusterAccess, GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.ids import ClaimUID
from sublet.api.relocation import Move, MoveCause
from sublet.api.times import Millis
from sublet.serve.claims import ClaimSeries
from sublet.serve.look import ClaimLook, Look
from tests.builders.api import NOW, as_claim, as_lease, claim, lease, uid_of, with_status
from tests.builders.ledgered import Memory
from tests.builders.sales import given_back, sold

WEST = as_lease(lease("west"))
EAST = as_lease(lease("east"))
EASTERN = {"lease": EAST.spec.tenant_alias, "lease_uid": EAST.metadata.uid}
HOUR = 3_600_000
JOINED = ("claim_namespace_info", "claim_held_gpus", "node_claim_info")


def ledger(**claims: ClaimLook) -> Look:
    none: Any = {}
    found: Any = {ClaimUID(uid): each for uid, each in claims.items()}
    return Look(none, none, none, none, none, found, none, none, None)


def written(
    *claims: GpuClaim,
    look: Look | None = None,
    at: int = NOW,
    limit: int = 10,
    leases: Sequence[GpuLease] = (WEST,),
) -> dict[tuple[str, ...], float]:
    """Return (series without its prefix, values of the labels but the UID) -> value."""
    seen: Any = Memory(claims=claims, leases=leases)
    series = ClaimSeries(limit=limit, retention_seconds=3_600)
    text = series.write(seen, look, Millis(at), openmetrics=False).decode()
    return {
        (s.name.removeprefix("sublet_"), *(v for k, v in s.labels.items() if k != "uid")): s.value
        for family in plain(text)
        for s in family.samples
    }


def entered(*aliases: str) -> Access:
    clusters = tuple(
        ClusterAccess(alias=each, namespace=f"sublet-{each}", expiration_time=Millis(NOW + HOUR))
        for each in aliases
    )
    return Access(secret_name="s", clusters=clusters)


def spread(claim: GpuClaim) -> GpuClaim:
    """Return a claim on two nodes whose second one is in another cluster."""
    here, there = allocation_of(claim).placements
    places = (here, there.model_copy(update=EASTERN))
    allocation = allocation_of(claim).model_copy(update={"placements": places})
    update = {"allocation": allocation, "access": entered("west", "east")}
    return with_status(claim, claim.status.model_copy(update=update))


def aged(name: str, created_ms: int) -> GpuClaim:
    found = as_claim(claim(name))
    meta = found.metadata.model_copy(update={"creation_timestamp": Millis(created_ms)})
    return found.model_copy(update={"metadata": meta})


def ended(name: str, at_ms: int) -> GpuClaim:
    found = as_claim(claim(name))
    over = Condition(
        type="Ended", status=Status.TRUE, reason="Completed", message="", last_transition_time=at_ms
    )
    return found.model_copy(
        update={"status": found.status.model_copy(update={"conditions": (over,)})}
    )


def test_a_claim_says_who_it_is_and_where_its_pods_are():
    found = written(sold("a", WEST, 8))

    assert found["claim_info", "acme", "a", "h100", "acme", "Fixed"] == 1
    assert found["claim_gpus", "acme", "a"] == 8
    assert found["claim_status_condition", "acme", "a", "Bound", "True"] == 1
    assert found["claim_namespace_info", "west", "c", "acme", "a", "acme"] == 1
    assert found["node_claim_info", "west", "a-0", "acme", "a", "acme"] == 1


def test_a_claim_says_how_many_gpus_it_has_in_each_cluster_and_not_what_it_asks_for():
    claim = spread(sold("a", WEST, 30_000))

    found = written(claim, leases=(WEST, EAST))

    held = {key[1:3]: gpus for key, gpus in found.items() if key[0] == "claim_held_gpus"}
    assert held == {("west", "sublet-west"): 25_000, ("east", "sublet-east"): 5_000}


def test_where_a_claim_moves_to_is_there_from_when_its_tenant_may_use_it():
    here = sold("a", WEST, 8)
    (old,) = allocation_of(here).placements
    new = old.model_copy(update={**EASTERN, "node_uid": uid_of("e-0")})
    move = Move(sequence=2, cause=MoveCause.LEASE_ENDS, decided_time=NOW, placements=(new,))
    moving = with_status(here, move_status.moving(here, move, NOW))
    ready = with_status(moving, move_status.ready_to_move(moving, entered("west", "east"), NOW))

    before, after = (written(each, leases=(WEST, EAST)) for each in (moving, ready))

    assert {key[:2] for key in before if key[0] in JOINED} == {(x, "west") for x in JOINED}
    assert {key[:2] for key in after if key[0] in JOINED} == {
        (x, lease) for x in JOINED for lease in ("west", "east")
    }


def test_only_a_claim_that_holds_gpus_has_an_end():
    here = sold("a", WEST, 8, until_ms=Millis(NOW + HOUR))
    gone = given_back(here, Millis(NOW), Millis(NOW))

    ends = [
        written(each).get(("claim_end_timestamp_seconds", "acme", "a")) for each in (here, gone)
    ]

    assert ends == [(NOW + HOUR) / 1_000, None]


def test_more_claims_than_the_limit_are_counted_and_the_oldest_stay():
    claims = [aged(f"c{i}", NOW - i) for i in range(5)]

    found = written(*claims, limit=2)

    assert {key[2] for key in found if key[0] == "claim_info"} == {"c3", "c4"}
    assert found["series_suppressed",] == 3
    assert found["claim_series_limit",] == 2


def test_without_series_of_claims_nothing_is_said_of_them():
    assert written(as_claim(claim("a")), limit=0) == {}


def test_a_claim_that_ended_goes_one_retention_later():
    found = written(ended("now", NOW - HOUR + 1), ended("before", NOW - HOUR - 1))

    assert {key[2] for key in found if key[0] == "claim_info"} == {"now"}


def test_a_claim_that_is_gone_keeps_its_counters_as_long_as_the_ledgers_books_keep_it():
    gone = ClaimLook("acme", "gone", Millis(NOW), 8_000, {"NodeGone": 2_500})

    found = written(look=ledger(u1=gone))

    assert found["claim_billable_gpu_seconds_total", "acme", "gone"] == 8
    assert found["claim_downtime_seconds_total", "acme", "gone", "NodeGone"] == 2.5


def test_what_nobody_knows_yet_is_absent():
    unknown = ClaimLook("acme", "a", Millis(NOW), None, {})
    assert not [k for k in written(look=ledger(u1=unknown)) if k[0].endswith("_total")]


def test_openmetrics_says_when_counters_began():
    gone = ClaimLook("acme", "gone", Millis(NOW), 8_000, {})
    seen: Any = Memory(leases=[WEST])
    series = ClaimSeries(retention_seconds=3_600)
    text = series.write(seen, ledger(u1=gone), Millis(NOW), openmetrics=True).decode()

    (family,) = (f for f in openmetrics(text + "# EOF\n") if f.type == "counter" and f.samples)

    assert {s.name.rsplit("_", 1)[1]: s.value for s in family.samples} == {
        "total": 8,
        "created": NOW / 1000,
    }


def test_a_claim_is_written_anew_when_its_object_changes():
    seen: Any = Memory(claims=[sold("a", WEST, 8)], leases=[WEST])
    series = ClaimSeries(retention_seconds=3_600)
    first = series.write(seen, None, NOW, openmetrics=False)
    changed = sold("a", WEST, 16)
    meta = changed.metadata.model_copy(update={"resource_version": "2"})
    seen.shelves["claims"] = [changed.model_copy(update={"metadata": meta})]

    second = series.write(seen, None, NOW, openmetrics=False)

    assert b"} 8\n" in first
    assert b"} 16\n" in second


def test_a_lease_that_could_be_read_later_is_called_by_its_name():
    seen: Any = Memory(claims=[sold("a", WEST, 8)])
    series = ClaimSeries(retention_seconds=3_600)
    series.write(seen, None, NOW, openmetrics=False)
    seen.shelves["leases"] = [WEST]

    assert b'cluster="west",node=' in series.write(seen, None, NOW, openmetrics=False)


def test_labels_are_written_so_that_nothing_breaks_out_of_them():
    odd = ClaimLook('a"b', "c\\d\ne", Millis(NOW), 1_000, {})

    found = written(look=ledger(u1=odd))

    assert found["claim_billable_gpu_seconds_total", 'a"b', "c\\d\ne"] == 1
