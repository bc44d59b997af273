"""The platform team's page: everything that the book knows of now and the month to come, safe to look at."""

from sublet.api.times import format_instant
from sublet.book.view import View
from sublet.pages.desk import SPAN_MS, desk_page
from sublet.pages.holders import MOST
from tests.builders.api import NOW, as_claim, as_lease, claim, lease
from tests.builders.pages import Seen
from tests.builders.sales import sold

WEST = as_lease(lease("west", committed=16))
EAST = as_lease(lease("east", committed=8, mode="PayAsYouGo"))


def seen(*claims, leases=(WEST, EAST)) -> Seen:
    return Seen(desk_page(View(NOW, claims, leases, ())))


def rows_of(page: Seen, caption: str) -> list[list[str]]:
    """Return the cells of a table's rows, without its headings."""
    (table,) = [t for t in page.all("table") if t.findtext("caption") == caption]
    return [["".join(cell.itertext()) for cell in row] for row in table.find("tbody")]


def test_each_lease_and_all_together_have_a_part_of_their_own():
    page = seen()

    assert page.words("h1") == ["Sublet: the book"]
    assert page.words("h2") == ["Waiting claims", "Money", "All leases", "east", "west"]


def test_who_holds_what_from_when_to_when_is_drawn_and_written():
    page = seen(sold("a", WEST, 8), sold("b", WEST, 4))

    assert {row[0]: row[1] for row in rows_of(page, "Claims on west")} == {
        "acme/a": "8",
        "acme/b": "4",
    }
    assert "acme/a: 8 GPUs" in page.words("text")
    assert "No claim holds any of its GPUs." in page.words("p")


def test_of_very_many_claims_those_that_end_first_are_drawn_and_all_are_written():
    page = seen(*(sold(f"c{i}", WEST, 1) for i in range(MOST + 5)))

    assert len([x for x in page.words("text") if x.endswith(": 1 GPUs")]) == MOST
    assert len(rows_of(page, "Claims on west")) == MOST + 5
    assert "5 more stand in the table alone." in page.words("p")


def test_more_than_a_few_claims_of_a_lease_are_folded():
    few, many = (
        seen(*(sold(f"c{i}", WEST, 1) for i in range(8))),
        seen(*(sold(f"c{i}", WEST, 1) for i in range(9))),
    )

    assert "9 claims" in many.words("summary")
    assert not any(words.endswith(" claims") for words in few.words("summary"))


def test_money_is_per_hour_and_what_nobody_knows_is_not_made_up():
    page = seen(sold("a", WEST, 8), sold("b", WEST, 4, currency="EUR"))

    (east, west) = rows_of(page, "GPUs and money per hour, now")
    assert west[:5] == ["west", "16", "12", "4", "0"]
    assert "EUR" in west[5]
    assert "USD" in west[5]
    assert west[7] == "?", "two currencies without a rate have no margin"
    assert west[9]
    assert east[:5] == ["east", "8", "0", "8", "0"]


def test_who_waits_is_said_with_why_and_no_name_becomes_markup():
    pending = {"reason": "WaitingForCapacity", "message": "<b>16</b> of 16 GPUs are taken"}
    page = seen(as_claim({**claim("infer"), "status": {"pending": pending}}))

    (row,) = rows_of(page, "Claims that want GPUs and have none")
    assert (row[0], row[-1]) == ("acme/infer", "<b>16</b> of 16 GPUs are taken")
    assert page.count("b") == 0


def test_nothing_is_fetched_from_anywhere_and_there_is_no_script():
    page = seen(sold("a", WEST, 8))

    assert page.outside() == []
    assert page.count("script") == 0


def test_a_pool_without_leases_is_a_page_too():
    page = seen(leases=())

    assert page.words("h2") == ["Waiting claims", "Money"]
    assert format_instant(NOW) in page.text
    assert SPAN_MS == 30 * 86_400_000
