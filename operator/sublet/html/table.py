"""Tables: a caption, headings that say what they head, numbers to the right, and a frame that scrolls on a phone."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from markupsafe import Markup

from sublet.html.markup import Content, tag


class Column(NamedTuple):
    """A heading, and what stands below it."""

    title: str
    is_number: bool = False
    is_prose: bool = False
    """Sentences, which are broken into lines; all else stands on one."""


def table(caption: str, columns: Sequence[Column], rows: Iterable[Sequence[Content]]) -> Markup:
    """Return a table whose first cell in each row is the row's heading."""
    looks = [_look(column) for column in columns]
    head = tag(
        "tr",
        *(
            tag("th", column.title, scope="col", class_=look)
            for column, look in zip(columns, looks, strict=True)
        ),
    )
    body = [
        tag("tr", tag("th", row[0], scope="row"), *map(_cell, row[1:], looks[1:])) for row in rows
    ]
    if not body:
        body = [tag("tr", tag("td", "None.", colspan=len(columns)))]
    made = tag("table", tag("caption", caption), tag("thead", head), tag("tbody", *body))
    # whoever has no pointer scrolls it with the arrow keys
    return tag("div", made, class_="scroll", role="region", aria_label=caption, tabindex=0)


def _look(column: Column) -> str | None:
    if column.is_number:
        return "number"
    return "prose" if column.is_prose else None


def _cell(content: Content, look: str | None) -> Markup:
    is_below = look == "number" and isinstance(content, str) and content.startswith("-")
    return tag("td", content, class_=f"{look} bad" if is_below else look)
