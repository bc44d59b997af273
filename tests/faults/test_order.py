"""The rules of order can fail: each is shown a journal that breaks it, and one that doesn't."""

import pytest

from tests.faults.story import BOOK, CLAIM, HOME, NODE, PODS, SECRET, UID, Story

NOT_EMPTY = "S6 freed without a live list that shows no pod"


def test_a_kubeconfig_comes_after_the_proofs():
    story = Story()
    story.furnish()
    story.ask("hub", "POST", "/api/v1/namespaces/acme/secrets", SECRET, status=201)
    assert story.broken == []


def test_a_question_about_rights_is_no_write():
    story = Story()
    story.ask(
        "west", "POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", {}, status=201
    )
    assert story.broken == []
    assert story.journal.writes == []


def test_a_kubeconfig_before_the_quota_is_live_is_found():
    story = Story()
    story.furnish(quota={"spec": {"hard": {"pods": "1"}}})
    story.ask("hub", "POST", "/api/v1/namespaces/acme/secrets", SECRET, status=201)
    assert len(story.broken) == 1
    assert story.broken[0].startswith("S4 the quota")


def test_a_status_without_a_resource_version_is_found():
    story = Story()
    story.ask("hub", "PUT", f"{CLAIM}/status", {"metadata": {"uid": UID}})
    assert story.broken == ["S8 without UID and resourceVersion"]


def test_a_lock_that_does_not_test_the_book_is_found():
    story = Story()
    story.ask(
        "west", "PATCH", "/api/v1/nodes/n0",
        [{"op": "test", "path": "/metadata/uid", "value": "n"}, {"op": "add", "path": BOOK, "value": f"{UID}=8"}],
    )  # fmt: skip
    assert story.broken == ["S8 without test of UID or book"]


def test_a_node_that_is_freed_without_a_look_at_its_pods_is_found():
    story = releasing()
    story.unlock()
    assert story.broken == [NOT_EMPTY]


def test_a_node_that_is_freed_while_a_pod_is_there_is_found():
    story = releasing()
    story.look(({"metadata": {"name": "work"}},))
    story.unlock()
    assert story.broken == [NOT_EMPTY]


def test_a_node_is_freed_after_an_empty_list():
    story = releasing()
    story.look()
    story.unlock()
    assert story.broken == []


def test_a_node_is_freed_after_a_list_of_all_its_pods_that_shows_none_of_the_claim():
    story = releasing()
    for namespace in (HOME, "kube-system"):
        story.look(({"metadata": {"namespace": namespace}},), "/api/v1/pods", **NODE)
        story.unlock()
    assert story.broken == [NOT_EMPTY]


@pytest.mark.parametrize("path", [PODS, "/api/v1/pods"])
def test_a_look_at_pods_from_before_the_lock_frees_no_node(path):
    story = releasing()
    story.look(path=path, **NODE)
    story.lock()
    story.unlock()
    assert story.broken == [NOT_EMPTY]


@pytest.mark.parametrize("path", [PODS, "/api/v1/pods"])
def test_a_list_of_another_nodes_pods_frees_no_node(path):
    story = releasing()
    story.look(path=path, fieldSelector="spec.nodeName=n1")
    story.unlock()
    assert story.broken == [NOT_EMPTY]


@pytest.mark.parametrize(
    ("query", "broken"),
    [
        ({"resourceVersion": "0"}, [NOT_EMPTY]),
        ({"resourceVersion": "7", "resourceVersionMatch": "NotOlderThan"}, [NOT_EMPTY]),
        ({"labelSelector": "app=x"}, [NOT_EMPTY]),
        ({"resourceVersion": "", "limit": "500"}, []),
    ],
    ids=["from the cache", "from the past", "of some", "consistent"],
)
def test_only_a_live_list_of_all_pods_frees_a_node(query, broken):
    story = releasing()
    story.look(**query)
    story.unlock()
    assert story.broken == broken


def test_a_list_without_its_last_page_frees_no_node():
    story = releasing()
    story.look().answer["metadata"] = {"continue": "more"}
    story.unlock()
    assert story.broken == [NOT_EMPTY]


@pytest.mark.parametrize(("first_page", "broken"), [((), []), (({"metadata": {}},), [NOT_EMPTY])])
def test_every_page_of_a_list_counts(first_page, broken):
    story = releasing()
    story.look(first_page).answer["metadata"] = {"continue": "more"}
    story.look(**{"continue": "more"})
    story.unlock()
    assert story.broken == broken


def test_a_list_that_is_too_large_to_be_kept_proves_nothing():
    story = releasing()
    story.look().answer = None
    story.unlock()
    assert story.broken == [NOT_EMPTY]


def releasing() -> Story:
    """Return a story whose operator knows that the claim is being released."""
    story = Story()
    story.read_claim()
    return story


def test_a_namespace_that_goes_before_the_rights_is_found():
    story = Story()
    story.read_claim()
    body = {"preconditions": {"uid": "x"}}
    story.ask("west", "DELETE", f"/api/v1/namespaces/{HOME}", body)
    assert story.broken == ["S5 the namespace goes before the tenant's rights"]


def test_a_write_outside_of_what_is_ours_is_found():
    story = Story()
    story.ask("west", "DELETE", "/api/v1/namespaces/prod/pods/other")
    assert story.broken == ["S9 not ours"]
