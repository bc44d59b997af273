"""A node as the API shows it against a node as the book sees it."""

from typing import Any

import msgspec
import pytest

from sublet.api.gpulease import NodeSharing
from sublet.api.times import Millis
from sublet.book.inventory import Holding, Unfit
from sublet.fleet.inventory import node_state
from sublet.fleet.nodebook import BookError, format_book, parse_book
from sublet.kube.wire import Node
from tests.builders.api import as_lease, lease, uid_of
from tests.builders.nodes import GB200, H100, bare_node, gpu_node, mig_node, sharing_node

WEST = as_lease()
UID = WEST.metadata.uid
CLAIM = uid_of("claim")


def wire(body: dict[str, Any]) -> Node:
    return msgspec.convert({**body, "metadata": {"uid": uid_of("n"), **body["metadata"]}}, Node)


def adopted(body: dict[str, Any], book: str = "", **annotations: str) -> dict[str, Any]:
    meta = body["metadata"]
    labels = {e.split("=")[0]: "true" for e in book.split(",") if e}
    meta["labels"] |= {"sublet.dev/lease": UID} | {f"claim.sublet.dev/{u}": "true" for u in labels}
    meta["annotations"] |= {
        "sublet.dev/allocation": book,
        "sublet.dev/sharing": "SameTenant",
        **annotations,
    }
    body["spec"]["taints"] = [{"key": "sublet.dev/pool", "value": UID, "effect": "NoSchedule"}]
    return body


def state(body: dict[str, Any], **options: Any):
    return node_state(
        wire(body),
        options.pop("lease", WEST),
        before=options.pop("before", None),
        foreign_pods=False,
        **options,
    )


def test_an_adopted_healthy_node_is_sellable():
    found = state(adopted(gpu_node("n")))

    assert (found.unfit, found.gpus, found.holdings, found.sharing) == (
        None,
        8,
        (),
        NodeSharing.SAME_TENANT,
    )


def test_a_new_node_isnt_sellable_before_it_is_adopted():
    assert state(gpu_node("n")).unfit is Unfit.NOT_ADOPTED


@pytest.mark.parametrize(
    ("body", "unfit"),
    [
        (mig_node("n"), Unfit.MIG),
        (sharing_node("n"), Unfit.SHARING),
        (bare_node("n"), Unfit.LABELS_MISSING),
        (gpu_node("n", GB200), Unfit.WRONG_PRODUCT),
        (gpu_node("n", allocatable={"nvidia.com/gpu": "16"}), Unfit.COUNT_MISMATCH),
        (gpu_node("n", allocatable={"nvidia.com/gpu": "7"}), Unfit.GPUS_LOST),
        (gpu_node("n", allocatable={"nvidia.com/gpu": "0"}), Unfit.GPUS_LOST),
        (gpu_node("n", ready=False), Unfit.NOT_READY),
        (
            gpu_node("n", labels={"nvidia.com/gpu-driver-upgrade-state": "drain-required"}),
            Unfit.UPGRADING,
        ),
        (gpu_node("n", labels={"sublet.dev/lease": uid_of("other")}), Unfit.NODE_OVERLAP),
    ],
)
def test_a_node_that_isnt_what_it_should_be_says_why(body, unfit):
    assert state(body).unfit is unfit


def test_a_cordon_and_a_sick_gpu_are_seen():
    cordoned, sick = adopted(gpu_node("n")), adopted(gpu_node("n"))
    cordoned["spec"]["unschedulable"] = True
    sick["status"]["conditions"].append({"type": "SysLogsXIDError", "status": "True"})

    assert state(cordoned).unfit is Unfit.CORDONED
    assert state(sick).unfit is Unfit.UNHEALTHY


def test_a_sick_node_that_one_claim_leaves_stays_sick_for_the_other():
    stays, leaves = uid_of("stays"), uid_of("leaves")
    sick = adopted(gpu_node("n"), f"{leaves}=4,{stays}=4")
    sick["status"]["conditions"].append({"type": "SysLogsXIDError", "status": "True"})
    before = state(sick, now_ms=Millis(1_000))

    sick["metadata"]["labels"][f"claim.sublet.dev/{leaves}"] = "9f3c" * 8
    found = state(sick, before=before, now_ms=Millis(2_000))

    assert (found.unfit, found.sick_since_ms) == (Unfit.UNHEALTHY, before.sick_since_ms)
    del sick["status"]["conditions"][-1]
    assert state(sick, before=found).unfit is Unfit.LEAVING


def test_a_node_that_is_to_be_wiped_isnt_sold():
    node = adopted(gpu_node("n"), f"{CLAIM}=4")
    node["metadata"]["annotations"]["sublet.dev/unwiped"] = f"{CLAIM}=landlord.example/clean="

    assert state(node).unfit is Unfit.NOT_WIPED


def test_a_node_that_a_claim_leaves_isnt_sold_by_its_label_or_an_older_versions_taint():
    left, tainted = adopted(gpu_node("n"), f"{CLAIM}=4"), adopted(gpu_node("n"))
    left["metadata"]["labels"][f"claim.sublet.dev/{CLAIM}"] = "0123456789abcdef"
    tainted["spec"]["taints"].append({"key": "sublet.dev/leaving", "effect": "NoSchedule"})

    assert state(left).unfit is Unfit.LEAVING
    assert state(tainted).unfit is Unfit.LEAVING


def test_an_alias_of_the_product_is_the_product():
    aliased = as_lease(lease(productAliases=["NVIDIA-Graphics-Device"]))
    body = adopted(gpu_node("n", labels={"nvidia.com/gpu.product": "NVIDIA-Graphics-Device"}))

    assert state(body, lease=aliased).unfit is None


def test_a_node_that_shows_no_gpus_for_a_moment_keeps_its_count():
    before = state(adopted(gpu_node("n"), f"{CLAIM}=8"))

    found = state(
        adopted(gpu_node("n", allocatable={"nvidia.com/gpu": "0"}), f"{CLAIM}=8"), before=before
    )

    assert (found.gpus, found.held, found.unfit) == (8, 8, Unfit.GPUS_LOST)


@pytest.mark.parametrize("count", ["8", "7", "4", ""], ids=lambda n: f"label {n or 'missing'}")
def test_gpus_that_its_own_book_gives_away_are_missed_whatever_its_labels_say(count: str):
    shown = min(7, int(count or 0))
    body = gpu_node(
        "n", labels={"nvidia.com/gpu.count": count}, allocatable={"nvidia.com/gpu": str(shown)}
    )

    found = state(adopted(body, f"{CLAIM}=4,{uid_of('beside')}=4"))
    assert (found.unfit, found.shows, found.gpus) == (Unfit.GPUS_LOST, shown, 8)


def test_a_node_without_labels_that_shows_all_that_its_book_gives_away_has_lost_none():
    body = gpu_node("n", labels={"nvidia.com/gpu.count": ""})

    found = state(adopted(body, f"{CLAIM}=8"))
    assert (found.unfit, found.shows) == (Unfit.LABELS_MISSING, None)


def test_a_node_that_is_upgraded_has_lost_none_of_what_its_book_gives_away():
    upgrading = {
        "nvidia.com/gpu-driver-upgrade-state": "pod-restart-required",
        "nvidia.com/gpu.count": "",
    }
    body = gpu_node("n", labels=upgrading, allocatable={"nvidia.com/gpu": "0"})

    assert state(adopted(body, f"{CLAIM}=8")).unfit is Unfit.UPGRADING


def test_a_free_node_whose_gpu_is_gone_from_its_label_too_is_sold_as_what_it_is():
    body = gpu_node("n", labels={"nvidia.com/gpu.count": "7"}, allocatable={"nvidia.com/gpu": "7"})

    found = state(adopted(body))
    assert (found.unfit, found.gpus) == (None, 7)


def test_more_than_any_node_has_in_a_book_says_nothing_of_its_gpus():
    found = state(adopted(gpu_node("n"), f"{CLAIM}=9999"))

    assert (found.unfit, found.shows, found.gpus) == (Unfit.BOOK_UNREADABLE, None, 8)


def test_a_free_node_whose_gpu_came_back_is_watched_for_a_while_and_then_sold():
    seven = adopted(gpu_node("n", allocatable={"nvidia.com/gpu": "7"}))
    lost = state(seven, before=state(adopted(gpu_node("n"))))
    back = state(adopted(gpu_node("n")), before=lost, steady_ms=1, settle_ms=600_000)
    still = state(adopted(gpu_node("n")), before=back, steady_ms=600_000, settle_ms=600_000)
    again = state(seven, before=still, steady_ms=600_000)

    assert (lost.unfit, back.unfit, still.unfit) == (Unfit.GPUS_LOST, Unfit.SETTLING, Unfit.SETTLING)  # fmt: skip
    assert again.unfit is Unfit.GPUS_LOST
    assert state(adopted(gpu_node("n")), before=still, steady_ms=600_001).unfit is None


def test_a_held_node_whose_gpu_came_back_is_well():
    seven = adopted(gpu_node("n", allocatable={"nvidia.com/gpu": "7"}), f"{CLAIM}=7")
    lost = state(seven, before=None)
    back = state(adopted(gpu_node("n"), f"{CLAIM}=7"), before=lost, settle_ms=600_000)

    assert (lost.unfit, back.unfit) == (Unfit.GPUS_LOST, None)


def test_a_device_plugin_that_restarts_leaves_nothing_to_be_watched():
    none = adopted(gpu_node("n", allocatable={"nvidia.com/gpu": "0"}))
    away = state(none, before=state(adopted(gpu_node("n"))))

    found = state(adopted(gpu_node("n")), before=away, settle_ms=600_000)
    assert (found.unfit, found.settles_ms) == (None, None)


def test_a_driver_that_is_being_upgraded_shows_no_gpus_and_that_is_no_failure():
    upgrading = {"nvidia.com/gpu-driver-upgrade-state": "pod-restart-required"}
    before = state(adopted(gpu_node("n")))
    body = adopted(gpu_node("n", allocatable={"nvidia.com/gpu": "0"}, labels=upgrading))

    found = state(body, before=before)

    assert (found.unfit, found.sick_since_ms) == (Unfit.UPGRADING, None)


def test_a_book_that_disagrees_with_its_labels_is_unsellable_and_still_held():
    body = adopted(gpu_node("n"), f"{CLAIM}=8")
    del body["metadata"]["labels"][f"claim.sublet.dev/{CLAIM}"]

    found = state(body)

    assert (found.unfit, found.held) == (Unfit.BOOK_UNREADABLE, 8)


def test_a_book_survives_writing_and_reading():
    book = (Holding(CLAIM, 6), Holding(uid_of("b"), 2))

    assert parse_book(format_book(book)) == book


@pytest.mark.parametrize(
    "text", ["x", f"{CLAIM}=0", f"{CLAIM}=1,", f"{CLAIM}=1,{CLAIM}=2", f"{CLAIM}=01"]
)
def test_a_malformed_book_is_refused(text):
    with pytest.raises(BookError):
        parse_book(text)


def test_the_first_reason_of_a_sick_node_that_is_anothers_is_that_it_is_anothers():
    body = gpu_node("n", H100, ready=False, labels={"sublet.dev/lease": uid_of("other")})

    assert state(body).unfit is Unfit.NODE_OVERLAP


FABRIC = "6FF4b6d7-3a8c-4f2e-9b1d-5c0e7a9d2f41"


@pytest.mark.parametrize("clique", ["0", "2", "32766"])
def test_a_node_is_in_the_nvlink_domain_that_its_label_names(clique):
    found = state(gpu_node("n", GB200, labels={"nvidia.com/gpu.clique": f"{FABRIC}.{clique}"}))

    assert found.clique == f"{FABRIC.lower()}.{clique}"


@pytest.mark.parametrize(
    "label",
    [
        None,
        "",
        "unknown",
        FABRIC,
        f"{FABRIC}.",
        f"{FABRIC}.02",
        f"{FABRIC}.-1",
        f"{FABRIC}.2\n",
        f"{FABRIC}.12345678901",
        f"{FABRIC}.٢",
        "lessor-a.rack-7.2",
        "a" * 300,
        "00000000-0000-0000-0000-000000000000.0",
    ],
)
def test_a_label_that_names_no_nvlink_domain_leaves_it_unknown(label):
    """HGX nodes all show zeros: their NVLink ends inside each of them."""
    labels = {} if label is None else {"nvidia.com/gpu.clique": label}

    assert state(gpu_node("n", GB200, labels=labels)).clique is None


def test_a_node_is_sick_since_it_was_seen_so_and_at_first_sight_since_nobody_knows_when():
    well, sick = adopted(gpu_node("n")), adopted(gpu_node("n", ready=False))

    def seen(node, before, now_ms):
        return node_state(
            wire(node), WEST, before=before, foreign_pods=False, now_ms=Millis(now_ms)
        )

    at_first_sight = seen(sick, None, 1_000)
    failing = seen(sick, seen(well, None, 1_000), 2_000)

    assert at_first_sight.sick_since_ms == 0
    assert failing.sick_since_ms == 2_000
    assert seen(sick, failing, 3_000).sick_since_ms == 2_000
    assert seen(well, failing, 3_000).sick_since_ms is None


@pytest.mark.parametrize(
    ("body", "ready", "shows"),
    [
        (gpu_node("n"), True, None),
        (gpu_node("n", ready=False), False, None),
        (gpu_node("n", allocatable={"nvidia.com/gpu": "6"}), True, 6),
        (gpu_node("n", allocatable={"nvidia.com/gpu": "0"}), True, 0),
        (gpu_node("n", allocatable={"nvidia.com/gpu": "16"}), True, None),
        (mig_node("n"), True, None),
    ],
    ids=["well", "not ready", "some missing", "all missing", "too many", "sliced"],
)
def test_what_it_shows_of_itself_is_kept_apart_from_whether_it_is_sold(body, ready, shows):
    found = state(adopted(body, f"{CLAIM}=8"))

    assert (found.is_ready, found.shows) == (ready, shows)
