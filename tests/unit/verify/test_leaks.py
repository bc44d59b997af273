"""What looks like a credential, and what only looks a little like one."""

import pytest

from sublet.verify.leaks import find_leaks, shown, texts_in
from tests.builders.api import uid_of


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeXN0ZW0ifQ.c2lnbmF0dXJlLW9mLWEtdG9rZW4", "a token"),
        ("Authorization: Bearer abcdefghijklmnopqrstuvwxyz", "a token"),
        ("-----BEGIN RSA PRIVATE KEY-----", "a key or certificate"),
        ("client-key-data: LS0tLS1CRUdJTiBSU0E", "a key or certificate"),
        ("kind: Config\ncurrent-context: west", "a kubeconfig"),
        ("a2luZDogQ29uZmlnCg==", "a kubeconfig"),
    ],
)
def test_credentials_are_found(text, kind):
    assert list(find_leaks(text)) == [kind]


@pytest.mark.parametrize(
    "text",
    [
        uid_of("x"),
        f"{uid_of('x')}=8",
        "0" * 64,
        "the token of west is renewed at half its life",
        "kind: ConfigMap",
        "users[].user.token: is not a token",
        "Bearer tokens aren't shown",
    ],
)
def test_ordinary_texts_are_none(text):
    assert list(find_leaks(text)) == []


def test_every_text_of_a_value_is_looked_at():
    assert sorted(texts_in({"a": [{"b": "c"}, 5, None]})) == ["a", "b", "c"]


def test_strangers_words_are_shown_without_credentials_and_control_characters():
    token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeXN0ZW0ifQ.c2lnbmF0dXJlLW9mLWEtdG9rZW4"

    assert shown(f"tenant \x1b[31m{token}\n") == "tenant  [31m(a token) "
    assert len(shown("x" * 5_000)) == 1_001
