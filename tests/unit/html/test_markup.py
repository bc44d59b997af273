from urllib.parse import unquote

from markupsafe import Markup

from sublet.html.markup import join, tag
from sublet.html.page import Fact, facts, link_to, page, section
from sublet.html.table import Column, table
from tests.builders.pages import Seen


def test_what_is_put_in_is_escaped():
    assert tag("p", "<script>", title='"x"') == '<p title="&#34;x&#34;">&lt;script&gt;</p>'


def test_markup_stays_and_nothing_is_nothing():
    assert join(tag("b", "x"), None, " & ") == "<b>x</b> &amp; "
    assert isinstance(join("x"), Markup)


def test_names_of_attributes_are_spelt_as_html_has_them_and_none_is_left_out():
    assert tag("td", class_="n", aria_label="a", id=None) == '<td class="n" aria-label="a"></td>'


def test_a_page_asks_for_nothing_outside_and_runs_nothing():
    seen = Seen(page("Title </title><script>alert(1)</script>", tag("p", "content")))

    assert seen.count("script") == 0
    assert seen.outside() == []
    assert any((x.get("content") or "").startswith("default-src 'none'") for x in seen.all("meta"))
    assert seen.count("h1") == 1


def test_a_table_says_what_its_headings_head_and_can_be_scrolled_by_keyboard():
    seen = Seen(str(table("Amounts", [Column("Who"), Column("USD", is_number=True)], [("acme", "-3.10")])))  # fmt: skip

    assert [x.get("scope") for x in seen.all("th")] == ["col", "col", "row"]
    (frame,) = seen.all("div")
    assert tuple(frame.get(x) for x in ("tabindex", "role", "aria-label")) == (
        "0",
        "region",
        "Amounts",
    )
    assert [x.get("class") for x in seen.all("td")] == ["number bad"]


def test_a_table_without_rows_says_so():
    assert "None." in table("Incidents", [Column("Lease")], [])


def test_sentences_in_a_table_are_broken_into_lines():
    seen = Seen(str(table("Why", [Column("Who"), Column("Why", is_prose=True)], [("acme", "no GPUs")])))  # fmt: skip

    assert [x.get("class") for x in seen.all("td")] == ["prose"]


def test_a_link_leads_to_its_section_whatever_the_name():
    name = 'a "b"/<c>'
    seen = Seen(str(join(tag("main", link_to(name, "there"), section("There", name=name)))))

    assert unquote(str(seen.all("a")[0].get("href"))) == f"#{seen.all('section')[0].get('id')}"
    assert seen.outside() == []


def test_facts_are_named_and_a_bad_one_stands_out():
    seen = Seen(str(facts(Fact("Losing", "1 lease", "west", is_bad=True), Fact("Waiting", "none"))))

    assert seen.words("dt") == ["Losing", "Waiting"]
    assert seen.words("dd") == ["1 lease", "west", "none"]
    assert [x.get("class") for x in seen.all("dd")] == ["large bad", None, "large"]
