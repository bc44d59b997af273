"""However many lines there are, those that a statement shows fit and add up to its total."""

from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings, strategies as st

from sublet.api.gpustatement import MOST_LINES, StatementLine
from sublet.hub.statements.lines import shown
from sublet.rating.books import Books
from sublet.rating.model import Category
from sublet.rating.statement import Line, LineKey, Part

TEXTS = {"t0": '{"run":"0"}', "t1": '{"run":"1"}'}


def line(
    class_name: str = "h100",
    *,
    corrects: str = "",
    category: Category = Category.USE,
    is_priced: bool = True,
    cents: int = 100,
    parts: int = 1,
) -> Line:
    """Return a line of so many hours as it has parts, each with an amount and tags of its own."""
    amount = Decimal(cents).scaleb(-2)
    return Line(
        key=LineKey("USD", corrects, "acme", class_name, category, is_priced),
        gpu_milliseconds=3_600_000 * parts,
        unit_price=Fraction(amount),
        listed=amount * parts,
        amount=amount * parts,
        exact=Fraction(amount) * parts,
        parts=tuple(Part(f"t{i % 2}", 3_600_000, amount, amount) for i in range(parts)),
    )


def months(count: int) -> list[str]:
    return [f"{2_000 + i // 12}-{i % 12 + 1:02d}" for i in range(count)]


def said(found: tuple[StatementLine, ...]) -> list[tuple[str | None, str | None, str]]:
    return [(x.class_name, x.corrects, x.amount) for x in found]


def test_lines_that_fit_stand_as_they_are_with_their_tags():
    found = shown(Books(TEXTS), [line(parts=MOST_LINES)])

    assert (len(found.lines), found.without_tags, found.folded) == (MOST_LINES, False, False)
    assert found.lines[0].tags == {"run": "0"}


def test_without_room_for_tags_each_line_stands_once_with_its_price():
    found = shown(Books(TEXTS), [line(parts=MOST_LINES), line("a100")])

    assert (len(found.lines), found.without_tags, found.folded) == (2, True, False)
    assert found.lines[0].unit_price == "1.000000"


def test_corrections_are_folded_first_one_of_each_category_and_month():
    some = [line(f"c{i}", corrects=m) for i in range(300) for m in ("2026-07", "2026-08")]

    found = shown(Books(TEXTS), [line(), *some])

    own, july, august = said(found.lines)
    assert own == ("h100", None, "1.00")
    assert (july, august) == ((None, "2026-07", "300.00"), (None, "2026-08", "300.00"))
    assert (found.without_tags, found.folded) == (True, True)


def test_then_the_periods_own_lines_are_too():
    some = [line(f"c{i}", category=c) for i in range(300) for c in (Category.USE, Category.CREDIT)]

    found = shown(Books(TEXTS), some)

    assert [x.category for x in found.lines] == ["Credit", "Use"]
    assert [x.gpu_milliseconds for x in found.lines] == [300 * 3_600_000] * 2


def test_corrections_of_more_months_than_there_is_room_for_are_one_that_names_the_first():
    some = [line(corrects=month) for month in months(MOST_LINES + 1)]

    assert said(shown(Books(TEXTS), some).lines) == [(None, "2000-01", "513.00")]


def test_lines_of_several_prices_have_none_together():
    some = [line(f"c{i}", cents=100 + i % 2, category=Category.USE) for i in range(MOST_LINES + 1)]

    (only,) = shown(Books(TEXTS), some).lines
    assert only.unit_price is None


@settings(max_examples=30)
@given(
    st.tuples(st.integers(0, 30), st.integers(0, 40), st.integers(1, 5)),
    st.lists(st.integers(-99_999, 99_999), min_size=1, max_size=7),
)
def test_whatever_there_is_the_lines_fit_and_add_up(counts, cents):
    classes, corrected, parts = counts
    lines = [
        line(
            f"c{i}", corrects=month, parts=parts, cents=cents[i % len(cents)],
            is_priced=bool(i % 2),
        )
        for month in ["", *months(corrected)]
        for i in range(classes)
    ]  # fmt: skip

    found = shown(Books(TEXTS), lines)

    assert len(found.lines) <= MOST_LINES
    assert sum(Decimal(x.amount) for x in found.lines) == sum(x.amount for x in lines)
    assert sum(Decimal(x.list_amount) for x in found.lines) == sum(x.listed for x in lines)
    assert sum(x.gpu_milliseconds for x in found.lines) == sum(x.gpu_milliseconds for x in lines)
