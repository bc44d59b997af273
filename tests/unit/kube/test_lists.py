"""A page of a list is cut into its items' texts, and no further than it was asked for."""

import pytest

from sublet.kube.bodies import decoder_of
from sublet.kube.errors import BadAnswer
from sublet.kube.lists import MOST_ITEM_BYTES, item_of, objects_of, page_of
from sublet.kube.wire import HasMeta


def listing(*items: bytes, next_: str = "") -> bytes:
    meta = b'{"resourceVersion":"7","continue":"%s"}' % next_.encode()
    return b'{"metadata":%s,"items":[%s]}' % (meta, b",".join(items))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_page_has_its_items_as_they_were_written(count: int):
    texts = [b'{"metadata":{"name":"n%d"}}' % i for i in range(count)]

    page = page_of(listing(*texts, next_="more"), 3, "/x")

    assert [bytes(item) for item in page.items] == texts
    assert (page.metadata.resource_version, page.metadata.next) == ("7", "more")


def test_an_empty_list_of_metadata_has_null_for_its_items():
    assert page_of(b'{"metadata":{},"items":null}', 3, "/x").items == ()


@pytest.mark.parametrize("item", [b"[]", b"{}", b"1", b'{"metadata":{}}'])
def test_a_page_of_more_than_it_was_asked_for_is_no_answer(item: bytes):
    with pytest.raises(BadAnswer, match="at most length 3"):
        page_of(listing(item, item, item, item), 3, "/x")


@pytest.mark.parametrize(
    "body",
    [b"[]", b"{}", b'{"items":[]}', b'{"metadata":{}}', b'{"metadata":{},"items":{}}', b"no JSON"],
)
def test_what_is_no_list_is_no_answer(body: bytes):
    with pytest.raises(BadAnswer):
        page_of(body, 3, "/x")


@pytest.mark.parametrize(
    "answer",
    [{}, {"items": []}, {"metadata": {}}, {"metadata": {}, "items": 7}, {"metadata": {}, "items": [7]},
     {"metadata": {}, "items": [{}]}, {"metadata": {}, "items": [{"metadata": {"name": 7}}]}],
    ids=str,
)  # fmt: skip
def test_a_list_of_anything_but_objects_is_no_answer(answer: dict[str, object]):
    with pytest.raises(BadAnswer, match="/x is not what the API promises"):
        objects_of(answer, "/x")


def test_a_lists_objects_are_as_they_came():
    named = {"metadata": {"name": "x"}, "spec": {}}

    assert objects_of({"metadata": {}, "items": [named]}, "/x") == [named]
    assert objects_of({"metadata": {}, "items": None}, "/x") == []


@pytest.mark.parametrize("field", ["resourceVersion", "continue"])
def test_what_is_asked_with_again_is_short(field: str):
    with pytest.raises(BadAnswer):
        page_of(b'{"metadata":{"%s":"%s"},"items":[]}' % (field.encode(), b"x" * 5_000), 3, "/x")


def test_an_item_larger_than_an_object_may_be_is_none():
    text = b'{"metadata":{},"x":"%s"}' % (b"x" * MOST_ITEM_BYTES)
    (item,) = page_of(listing(text), 3, "/x").items

    with pytest.raises(BadAnswer, match="larger than"):
        item_of(item, decoder_of(HasMeta), "/x")
