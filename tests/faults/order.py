"""Rules about the order and the form of requests, read from the journal: what no look at the state alone can see.

S4, S5: access is handed over last and taken first. S6: a node is freed after a live list without pods. S7, S10: what may be
taken away and ended at all is in `tests.faults.endings`. S8: node patches test the UID and the book's old value, hub writes carry
the resourceVersion, deletions the UID. S9: nothing but ours is written. Every rule is judged per operator: what one process
knows, another doesn't.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Final

from sublet.fleet.isolation import CLAIM_PODS_POLICY
from tests.faults.bodies import (
    BOOK,
    HOME,
    changed,
    claims_in,
    freed,
    is_live_list,
    is_true,
    meta,
    tested,
)
from tests.faults.endings import ends_are_told_before, nothing_kept_is_taken
from tests.faults.journal import Entry

_OURS: Final = re.compile(
    r"/metadata/(labels|annotations)/([a-z]+\.)?sublet\.dev~1|/metadata/(uid|resourceVersion)$|/spec/taints"
)
_KINDS: Final = ("gpuclaims", "gpuleases", "gpuclasses", "gputenants")
Rule = Callable[[Sequence[Entry]], Iterator[str]]


def broken_rules(journal: Iterable[Entry], bound: Collection[str] = ()) -> list[str]:
    """Return every rule that a journal breaks, with the request that breaks it; `bound`: claims that were so before it."""
    entries = list(journal)
    found = [found for rule in RULES for found in rule(entries)]
    return found + [found for rule in OF_BINDS for found in rule(entries, bound)]


def hub_writes_are_guarded(journal: Sequence[Entry]) -> Iterator[str]:
    """S8: a status is put with UID and resourceVersion, anything else of our kinds is patched with tests on both."""
    for entry in _writes(journal, "hub", *_KINDS):
        named = meta(entry.body)
        put = bool(named.get("uid") and named.get("resourceVersion"))
        patched = {"/metadata/uid", "/metadata/resourceVersion"} <= tested(entry).keys()
        if not (put or patched):
            yield f"S8 without UID and resourceVersion: {entry}"


def node_patches_are_guarded(journal: Sequence[Entry]) -> Iterator[str]:
    """S8: each node patch tests the UID, and one that writes the book tests its old value."""
    for entry in _writes(journal, "", "nodes"):
        tests = tested(entry)
        if "/metadata/uid" not in tests or (BOOK in changed(entry) and BOOK not in tests):
            yield f"S8 without test of UID or book: {entry}"


def deletions_carry_the_uid(journal: Sequence[Entry]) -> Iterator[str]:
    """S8: a namespace is deleted by UID; what is in it is named by the claim's UID and goes with it."""
    for entry in _writes(journal, "", "namespaces"):
        body = entry.body if isinstance(entry.body, dict) else {}
        if entry.target.verb == "delete" and not body.get("preconditions", {}).get("uid"):
            yield f"S8 without UID: {entry}"


def only_ours_is_written(journal: Sequence[Entry]) -> Iterator[str]:
    """S9: in leased clusters claim namespaces and `sublet.dev` marks of nodes, on the hub our kinds and kubeconfigs."""
    for entry in journal:
        target = entry.target
        if not entry.is_write:
            continue
        if target.resource == "nodes":
            mine = all(_OURS.search(path) for path in changed(entry))
        elif entry.cluster == "hub":
            is_secret = target.resource == "secrets"
            mine = target.resource in _KINDS or (is_secret and "-kubeconfig" in entry.object)
        else:
            home = target.namespace or target.name or meta(entry.body).get("name", "")
            mine = HOME.fullmatch(home) is not None
        if not mine:
            yield f"S9 not ours: {entry}"


def access_comes_last(journal: Sequence[Entry], bound: Collection[str]) -> Iterator[str]:
    """S4, S5: the kubeconfig is written after the quota was seen live and the policy refused a pod, wherever a token is new.

    The namespace of a claim that was bound has shown that; it may get another node.
    """
    for at, entry in enumerate(journal):
        if not (entry.target.resource == "secrets" and entry.cluster == "hub" and entry.is_write):
            continue
        before = [e for e in journal[:at] if e.pid == entry.pid]
        uid = meta(entry.body).get("ownerReferences", [{}])[0].get("uid", "")
        if uid in bound:
            continue
        made = {e.target.name or meta(e.body).get("name") for e in before if _is_made(e)}
        for home in {h for h in made if h and uid in h}:
            inside = [e for e in before if e.target.namespace == home]
            if not any(_shows_live_quota(e) for e in inside):
                yield f"S4 the quota of {home} wasn't seen live before {entry}"
            if not any(_is_refused_by_policy(e) for e in inside):
                yield f"S4 no pod was refused in {home} before {entry}"


def bound_is_said_after_the_handover(
    journal: Sequence[Entry], bound: Collection[str]
) -> Iterator[str]:
    """S4: an operator that says Bound has written the kubeconfig itself."""
    said: set[str] = set(bound)
    for at, entry in enumerate(journal):
        if entry.target.resource != "gpuclaims" or not entry.is_write or not entry.is_done:
            continue
        uid = meta(entry.body).get("uid", "")
        if is_true(entry.body, "Bound") and uid not in said:
            said.add(uid)
            version = meta(entry.body).get("resourceVersion")
            was = [e for e in journal[:at] if meta(e.answer).get("resourceVersion") == version]
            if was and all(is_true(e.answer, "Bound") for e in was):
                continue  # it was bound before
            if not any(_is_kubeconfig_of(e, uid) and e.pid == entry.pid for e in journal[:at]):
                yield f"S4 Bound before the kubeconfig: {entry}"


def access_goes_first(journal: Sequence[Entry]) -> Iterator[str]:
    """S5: before a namespace goes, its RoleBinding and its account are gone."""
    for at, entry in enumerate(journal):
        if entry.target.resource != "namespaces" or entry.target.verb != "delete":
            continue
        before = [
            e.target.resource
            for e in journal[:at]
            if e.pid == entry.pid and e.target.namespace == entry.target.name
            and e.target.verb == "delete" and e.status in (200, 202, 404)
        ]  # fmt: skip
        if "rolebindings" not in before or "serviceaccounts" not in before:
            yield f"S5 the namespace goes before the tenant's rights: {entry}"
        elif before.index("rolebindings") > before.index("serviceaccounts"):
            yield f"S5 the account goes before the binding: {entry}"


def nodes_are_freed_when_empty(journal: Sequence[Entry]) -> Iterator[str]:
    """S6: a claim's entry goes after a live list of its pods that was empty, or one of all its node's without its own.

    A list from before the entry was written there is the look before a lock, and shows nothing; nor does one that was
    asked from the past, that lacks its last page, or that is about another node.
    """
    for at, entry in enumerate(journal):
        for uid in freed(entry):
            locks = [i for i, e in enumerate(journal[:at]) if _is_lock(e, entry, uid)]
            since = journal[max(locks, default=-1) + 1 : at]
            pages = _last_list([e for e in since if _is_look(e, entry, uid)])
            if not pages or any(_may_show_pod_of(e, uid) for e in pages):
                yield f"S6 freed without a live list that shows no pod: {entry}"


RULES: Final[tuple[Rule, ...]] = (
    hub_writes_are_guarded,
    node_patches_are_guarded,
    deletions_carry_the_uid,
    only_ours_is_written,
    access_goes_first,
    nodes_are_freed_when_empty,
    nothing_kept_is_taken,
    ends_are_told_before,
)
OF_BINDS: Final = (access_comes_last, bound_is_said_after_the_handover)


def _writes(journal: Sequence[Entry], cluster: str, *resources: str) -> Iterator[Entry]:
    for entry in journal:
        if entry.is_write and entry.target.resource in resources and cluster in ("", entry.cluster):
            yield entry


def _is_lock(entry: Entry, unlock: Entry, uid: str) -> bool:
    """Say whether a patch put a claim on the book of the node that is freed later."""
    if not entry.is_write or (entry.cluster, entry.target) != (unlock.cluster, unlock.target):
        return False
    return entry.is_done and uid in claims_in(changed(entry).get(BOOK))


def _is_look(entry: Entry, unlock: Entry, uid: str) -> bool:
    """Say whether a live list by the same operator is of a claim's pods, or of all on its node."""
    if (entry.pid, entry.cluster) != (unlock.pid, unlock.cluster) or not is_live_list(entry):
        return False
    selected, here = entry.query.get("fieldSelector"), f"spec.nodeName={unlock.target.name}"
    if entry.target.resource != "pods" or entry.query.get("labelSelector"):
        return False
    if not entry.target.namespace:
        return selected == here
    return uid in entry.target.namespace and selected in (None, here)


def _last_list(pages: Sequence[Entry]) -> Sequence[Entry]:
    """Return the pages of the list that was read last, none if it has no end."""
    first = max((i for i, e in enumerate(pages) if not e.query.get("continue")), default=None)
    if first is None or meta(pages[-1].answer).get("continue"):
        return ()
    return pages[first:]


def _may_show_pod_of(entry: Entry, uid: str) -> bool:
    """Say whether a page shows a pod of a claim, or wasn't kept."""
    if not isinstance(entry.answer, dict):
        return True
    items = entry.answer.get("items") or ()
    return any(uid in (entry.target.namespace or meta(i).get("namespace", "")) for i in items)


def _is_made(entry: Entry) -> bool:
    target = entry.target
    return (
        target.resource == "namespaces" and target.verb == "create" and entry.status in (201, 409)
    )


def _shows_live_quota(entry: Entry) -> bool:
    body = entry.answer if isinstance(entry.answer, dict) else {}
    if entry.target.resource != "resourcequotas" or entry.target.verb != "get":
        return False
    return set(body.get("status", {}).get("hard", {})) == set(body.get("spec", {}).get("hard", {1}))


def _is_refused_by_policy(entry: Entry) -> bool:
    body = entry.answer if isinstance(entry.answer, dict) else {}
    refused = entry.is_dry_run and entry.status == 403
    return refused and CLAIM_PODS_POLICY in body.get("message", "")


def _is_kubeconfig_of(entry: Entry, uid: str) -> bool:
    owners = meta(entry.body).get("ownerReferences", [{}])
    is_secret = entry.target.resource == "secrets" and entry.is_done
    return is_secret and owners[0].get("uid") == uid
