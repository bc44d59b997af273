"""A plane's content is taken as installed only when its controllers have done what they do for every namespace."""

import base64

import pytest

from tests.planes.store import Snapshot, Store

DONE = {
    b"/registry/namespaces/default": b"",
    b"/registry/serviceaccounts/default/default": b"",
    b"/registry/configmaps/default/kube-root-ca.crt": b"",
}


@pytest.mark.parametrize("missing", [*DONE][1:])
def test_a_namespace_that_lacks_what_controllers_make_isnt_done(missing):
    assert Snapshot(DONE).is_complete
    assert not Snapshot(DONE).without(missing).is_complete


def test_a_plane_without_namespaces_isnt_done():
    assert not Snapshot({}).is_complete


def test_accounts_that_controllers_make_as_they_start_are_left_alone(monkeypatch):
    keys = ("kube-system/generic-garbage-collector", "kube-system/default", "acme/tess")
    found = {"kvs": [kv(f"/registry/serviceaccounts/{key}") for key in keys]}
    store = Store("http://127.0.0.1:1")
    monkeypatch.setattr(store, "_ask", lambda *_, **__: found)

    assert sorted(store.read().values) == [
        b"/registry/serviceaccounts/acme/tess",
        b"/registry/serviceaccounts/kube-system/default",
    ]


def kv(key):
    """Return a key as etcd's gateway writes it, with an empty value."""
    return {"key": base64.b64encode(key.encode()).decode(), "value": "", "mod_revision": "1"}
