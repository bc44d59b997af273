"""What must be seen first: who waits, what is idle, what earns and what loses."""

from sublet.book.view import View
from sublet.pages.desk import desk_page
from tests.builders.api import NOW, as_lease, lease
from tests.builders.desks import days, view_of, waits, working
from tests.builders.pages import Seen
from tests.builders.sales import sold


def facts(view: View) -> dict[str, list[str]]:
    """Return each fact's name -> what is said of it, large and small."""
    page = Seen(desk_page(view))
    (shown,) = page.all("dl")
    words = [["".join(each.itertext()) for each in fact] for fact in shown]
    return {name: said for name, *said in words}


def lease_of(name: str, **spec: object):
    return as_lease(lease(name, committed=16, **spec))


def test_a_pool_at_work_is_said_in_five_facts():
    assert facts(working()) == {
        "Waiting": ["3 claims", "for 56 GPUs; the first is expected 2026-11-27; of 1 nobody knows when"],
        "Idle": ["22 of 80 GPUs", "ohio-h200 12, flex-l40s 6, madrid-h100 4"],
        "Earning": ["2 leases", "madrid-h100 20.56 USD/h, flex-l40s 1.20 USD/h"],
        "Losing": ["1 lease", "ohio-h200 -28.80 USD/h"],
        "Margin not known": ["1 lease", "oslo-b200"],
    }  # fmt: skip


def test_of_nothing_nothing_is_said():
    assert facts(View(NOW)) == {
        "Waiting": ["no claim"],
        "Idle": ["0 of 0 GPUs"],
        "Earning": ["none"],
        "Losing": ["none"],
    }


def test_the_largest_loss_is_named_first_and_the_gain_that_is_largest():
    small, large = lease_of("small"), lease_of("large")
    lost = facts(view_of([small, large], [sold("a", small, 8), sold("b", large, 4)]))
    earned = facts(view_of([small, large], [sold("a", small, 12), sold("b", large, 16)]))

    assert lost["Losing"] == ["2 leases", "large -21.64 USD/h, small -5.68 USD/h"]
    assert earned["Earning"] == ["2 leases", "large 26.24 USD/h, small 10.28 USD/h"]


def test_of_many_leases_the_first_are_named_and_the_others_counted():
    said = facts(view_of([lease_of(f"lease-{i}") for i in range(9)], []))

    assert said["Losing"][0] == "9 leases"
    assert said["Losing"][1].endswith(" and 5 more")


def test_claims_that_nobody_can_say_a_start_for_are_counted():
    said = facts(view_of([], [waits("a", 1, "ExceedsBudget", "no money left")]))

    assert said["Waiting"] == ["1 claim", "for 1 GPU; of 1 nobody knows when"]


def test_each_name_leads_to_the_leases_own_section():
    page = Seen(desk_page(working()))

    targets = {x.get("id") for x in page.all("section")}
    links = {x.get("href") for x in page.all("a")}
    assert links == {f"#lease-{name}" for name in ("madrid-h100", "ohio-h200", "oslo-b200", "flex-l40s")}  # fmt: skip
    assert {link.removeprefix("#") for link in links} <= targets


def test_a_lease_says_when_least_is_free_and_when_its_commitment_changes():
    coming = lease_of("west", term={"endTime": "2026-11-29T10:00:00Z"})
    page = Seen(desk_page(view_of([coming], [sold("a", coming, 8, until_ms=days(3))])))

    assert page.words("figcaption")[0] == (
        "Now 8 of 16 committed GPUs are held and 8 free. "
        "Fewest are free from 2026-11-29T10:00:00Z on: 0. From 2026-11-29T10:00:00Z on 0 are committed."
    )
