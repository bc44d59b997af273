"""Whom a kubeconfig's user acts as, as kubectl would say it."""

import pytest

from sublet.kube.acting import Unsupported, acting_as


def test_who_acts_as_nobody_else_says_nothing():
    assert acting_as({"token": "t", "as": "", "as-groups": [], "as-user-extra": None}) == ()


def test_user_uid_groups_and_extra_are_said():
    user = {
        "as": "jane",
        "as-uid": "u-1",
        "as-groups": ["dev", "ops"],
        "as-user-extra": {"scopes": ["view", "edit"]},
    }

    assert acting_as(user) == (
        ("Impersonate-User", "jane"),
        ("Impersonate-Uid", "u-1"),
        ("Impersonate-Group", "dev"),
        ("Impersonate-Group", "ops"),
        ("Impersonate-Extra-scopes", "view"),
        ("Impersonate-Extra-scopes", "edit"),
    )


def test_a_key_that_cant_be_a_headers_name_is_escaped():
    said = acting_as({"as": "jane", "as-user-extra": {"acme.com/50%~é": ["x"]}})

    assert said[1] == ("Impersonate-Extra-acme.com%2F50%25~%C3%A9", "x")


@pytest.mark.parametrize(
    ("user", "words"),
    [
        ({"as-groups": ["dev"]}, "need `as`"),
        ({"as-uid": "u-1"}, "need `as`"),
        ({"as": 7}, "as holds"),
        ({"as": "jane\nX-Evil: 1"}, "as holds"),
        ({"as": "jane", "as-groups": "dev"}, "as-groups isn't a list"),
        ({"as": "jane", "as-groups": [7]}, "as-groups holds"),
        ({"as": "jane", "as-user-extra": ["x"]}, "as-user-extra isn't a map"),
        ({"as": "jane", "as-user-extra": {"x": "y"}}, "as-user-extra isn't a list"),
    ],
)
def test_what_kubectl_wouldnt_take_is_named(user, words):
    with pytest.raises(Unsupported, match=words):
        acting_as(user)
