"""The backup's file: the same hub gives the same bytes, and damage shows."""

import json
from dataclasses import replace

import pytest

from sublet.cli.keeping.archive import (
    Archive,
    Position,
    _digest,
    _text,
    from_text,
    kept,
    to_text,
)
from sublet.cli.problems import Problem
from sublet.fleet.credential import CREDENTIALS_LABEL
from tests.builders.api import NOW, as_claim, as_lease, claim, lease
from tests.builders.restored import on_the_wire

CLAIMS = [on_the_wire(as_claim(claim(name))) for name in ("a", "b")]
LEASE = on_the_wire(as_lease(lease()), "GpuLease")


def archive(*objects) -> Archive:
    ledger = Position(7, "f" * 64)
    return Archive("hub", NOW, ledger, (), tuple(kept(o) for o in objects))


def test_the_order_in_which_objects_come_makes_no_difference():
    assert to_text(archive(*CLAIMS, LEASE)) == to_text(archive(LEASE, *reversed(CLAIMS)))


def test_what_was_written_is_read_again():
    found = from_text(to_text(archive(*CLAIMS, LEASE)))

    assert [o["kind"] for o in found.objects] == ["GpuLease", "GpuClaim", "GpuClaim"]
    assert (found.ledger, found.taken_ms) == (Position(7, "f" * 64), NOW)


def test_what_the_api_server_keeps_for_itself_is_left_out():
    body = {**CLAIMS[0], "metadata": {**CLAIMS[0]["metadata"], "managedFields": [{}], "resourceVersion": "5"}}  # fmt: skip

    assert {"managedFields", "resourceVersion"}.isdisjoint(kept(body)["metadata"])


def forged(section: str, **fields) -> str:
    """Return a backup with one more entry, and the digest that fits."""
    made = {"kind": "GpuClaim", "spec": {}, **fields}
    return to_text(replace(archive(*CLAIMS), **{section: (made,)}))


UID = CLAIMS[0]["metadata"]["uid"]
ESCAPE = "../../../../api/v1/namespaces/kube-system/secrets"


@pytest.mark.parametrize(
    ("section", "fields"),
    [
        ("objects", {"kind": "Secret", "metadata": {"name": "a", "uid": UID}}),
        ("objects", {"metadata": {"name": ESCAPE, "namespace": "acme", "uid": UID}}),
        ("objects", {"metadata": {"name": "a", "namespace": ESCAPE, "uid": UID}}),
        ("objects", {"metadata": {"name": "a", "uid": UID}}),
        ("objects", {"metadata": {"name": "a", "namespace": "acme", "uid": "x"}}),
        ("objects", {"metadata": {"name": "a\n", "namespace": "acme", "uid": UID}}),
        ("objects", {"metadata": {"name": "a", "namespace": "acme", "uid": UID, "labels": []}}),
        ("namespaces", {"kind": "Namespace", "metadata": {"name": "unused"}}),
        ("credentials", {"kind": "Secret", "metadata": {"name": "a", "namespace": "kube-system"}}),
        ("credentials", {"kind": "Secret", "type": "kubernetes.io/service-account-token",
                         "metadata": {"name": "a", "namespace": "b", "labels": {CREDENTIALS_LABEL: "true"}}}),
    ],
)  # fmt: skip
def test_a_digest_that_fits_makes_a_file_no_more_trusted(section: str, fields):
    with pytest.raises(Problem, match="no backup that `sublet backup` wrote"):
        from_text(forged(section, **fields))


def test_a_file_without_a_part_or_of_endless_depth_is_refused():
    content = {"format": "sublet-backup/1", "hub": "h"}
    with pytest.raises(Problem, match="takenTime"):
        from_text(_text({**content, "sha256": _digest(content)}))
    with pytest.raises(Problem, match="not JSON"):
        from_text("[" * 1_000_000)


def test_a_leased_clusters_credential_is_read_again():
    meta = {"name": "west", "namespace": "sublet-system", "labels": {CREDENTIALS_LABEL: "true"}}
    secret = {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": meta, "data": {"kubeconfig": "eA=="}}  # fmt: skip
    whole = replace(archive(*CLAIMS), credentials=(secret,))

    assert from_text(to_text(whole)).credentials == (secret,)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda text: text[:-40], "cut off"),
        (lambda text: text.replace('"gpus": 8', '"gpus": 80', 1), "changed or damaged"),
        (lambda text: text.replace("backup/1", "backup/2"), "of format sublet-backup/2"),
        (lambda _: json.dumps({"kind": "List"}), "no backup that"),
        (lambda _: "kind: List", "not JSON"),
    ],
)
def test_a_file_that_isnt_whole_is_refused(damage, words: str):
    with pytest.raises(Problem, match=words):
        from_text(damage(to_text(archive(*CLAIMS))))
