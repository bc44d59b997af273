"""What claims are told of drift, when, and when not."""

from sublet.api import bound_status
from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import ClaimUID, ClusterUID, LeaseUID
from sublet.book.decisions import Degrade
from sublet.book.unproven import ISOLATION_UNPROVEN
from sublet.drift.finding import Finding, Reason, worst
from sublet.drift.news import News
from tests.builders.api import NOW, as_claim, as_lease
from tests.builders.fleet import bound, held, nodes

WEST = as_lease()
CLAIM = bound(held(as_claim(), WEST, nodes(WEST, 1)))
UID, HERE, THERE = ClaimUID(CLAIM.metadata.uid), ClusterUID("here"), ClusterUID("there")
LEASE, OTHER = LeaseUID(WEST.metadata.uid), LeaseUID("another of the cluster")
FOREIGN = Finding(Reason.FOREIGN_POD, "a foreign pod")
ENDING = Finding(Reason.NAMESPACE_TERMINATING, "the namespace goes")


def saying(news: News, claim: GpuClaim = CLAIM) -> Degrade | None:
    return next((said for _, said in news.sayings(lambda _: claim)), None)


def told(claim: GpuClaim, said: Degrade) -> GpuClaim:
    status = bound_status.degraded(claim, said.reason, said.message, NOW)
    return claim.model_copy(update={"status": status})


def test_a_finding_is_said_until_the_claim_says_it_and_then_no_more():
    news = News()
    news.note(UID, HERE, (FOREIGN,))

    said = saying(news)

    assert said == Degrade(UID, "ForeignPod", "a foreign pod")
    assert saying(news) == said
    assert saying(news, told(CLAIM, said)) is None


def test_what_is_over_is_taken_back():
    news = News()
    news.note(UID, HERE, (FOREIGN,))
    degraded = told(CLAIM, saying(news) or Degrade(UID, "", ""))
    news.note(UID, HERE, ())

    assert saying(news, degraded) == Degrade(UID, "ForeignPod", "")


def test_what_one_cluster_finds_takes_nothing_back_of_another():
    news = News()
    news.note(UID, HERE, (FOREIGN,))
    news.note(UID, THERE, ())
    news.note_nodes(UID, HERE, LEASE, ())

    assert saying(news) == Degrade(UID, "ForeignPod", "a foreign pod")


def test_what_is_seen_of_one_leases_nodes_takes_nothing_back_of_another_in_the_same_cluster():
    news = News()
    news.note_nodes(UID, HERE, OTHER, (FOREIGN,))
    news.note_nodes(UID, HERE, LEASE, ())
    news.keep(HERE, {LEASE: {UID}, OTHER: {UID}})

    assert saying(news) == Degrade(UID, "ForeignPod", "a foreign pod")


def test_what_was_found_by_a_lease_that_the_claim_has_left_is_over():
    news = News()
    news.note_nodes(UID, HERE, OTHER, (FOREIGN,))
    news.keep(HERE, {LEASE: {UID}})

    degraded = told(CLAIM, Degrade(UID, "ForeignPod", "a foreign pod"))
    assert saying(news, degraded) == Degrade(UID, "ForeignPod", "")


def test_what_was_found_in_a_cluster_that_the_claim_has_left_is_over():
    news = News()
    news.note_nodes(UID, THERE, OTHER, (FOREIGN,))
    news.note_nodes(UID, HERE, LEASE, (ENDING,))
    degraded = told(CLAIM, Degrade(UID, "ForeignPod", "a foreign pod"))
    news.keep(THERE, {OTHER: {UID}})
    assert saying(news) == Degrade(UID, "NamespaceTerminating", "the namespace goes (and 1 more)")

    news.keep(THERE, {})
    assert saying(news) == Degrade(UID, "NamespaceTerminating", "the namespace goes")

    news.keep(HERE, {LEASE: ()})
    assert saying(news, degraded) == Degrade(UID, "ForeignPod", "")


def test_a_failed_node_stands_before_drift_which_is_said_when_that_is_over():
    news = News()
    news.note(UID, HERE, (FOREIGN,))
    failed = told(CLAIM, Degrade(UID, "NodeFailed", "node n0 fails"))

    assert saying(news, failed) is None
    assert saying(news, CLAIM) == Degrade(UID, "ForeignPod", "a foreign pod")


def test_what_a_process_before_this_one_said_is_looked_at_again():
    news = News()
    stale = told(CLAIM, Degrade(UID, "ForeignPod", "long ago"))
    news.recall(stale, {HERE})
    news.recall(CLAIM, {HERE})

    assert saying(news, stale) == Degrade(UID, "ForeignPod", "")


def test_what_putting_right_found_before_stands_until_that_was_tried():
    news = News()
    stale = told(CLAIM, Degrade(UID, "NamespaceTerminating", "long ago"))
    news.recall(stale, {HERE})
    assert (saying(news, stale), news.is_unwell(stale, HERE)) == (None, True)

    news.note(UID, HERE, ())
    news.recall(stale, {HERE})
    assert saying(news, stale) == Degrade(UID, "NamespaceTerminating", "")
    assert not news.is_unwell(stale, HERE)


def test_what_putting_right_found_before_stands_until_that_was_tried_in_each_cluster_of_the_claim():
    news = News()
    stale = told(CLAIM, Degrade(UID, "NamespaceTerminating", "long ago"))
    news.note(UID, HERE, ())
    news.recall(stale, {HERE, THERE})
    assert saying(news, stale) is None

    news.note(UID, THERE, ())
    news.recall(stale, {HERE, THERE})
    assert saying(news, stale) == Degrade(UID, "NamespaceTerminating", "")


def test_the_worst_is_said_first_with_the_number_of_the_others():
    assert worst((FOREIGN, ENDING)) == Finding(Reason.NAMESPACE_TERMINATING, "the namespace goes (and 1 more)")  # fmt: skip
    assert worst((FOREIGN, FOREIGN)) == FOREIGN
    assert worst(()) is None


def test_what_the_book_says_of_a_leases_isolation_is_never_taken_for_drift():
    assert ISOLATION_UNPROVEN not in {reason.value for reason in Reason}
