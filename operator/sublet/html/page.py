"""A whole page: head, style, patterns, content."""

from typing import Final, NamedTuple
from urllib.parse import quote

from markupsafe import Markup

from sublet.html.markup import Content, join, tag
from sublet.html.style import MARK, PATTERNS, STYLE

_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
)
"""Nothing is fetched and no script runs, whatever a name in the page may say."""


class Fact(NamedTuple):
    """What somebody must see first: a word, what it comes to, and more in small."""

    name: str
    large: str
    small: Content = None
    is_bad: bool = False


def page(title: str, *content: Content) -> str:
    """Return an HTML document with one main heading."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", title),
        tag("style", Markup(STYLE)),  # noqa: S704  it is our own
    )
    body = tag("body", PATTERNS, tag("main", tag("h1", title), *content))
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def section(title: str, *content: Content, name: str | None = None) -> Markup:
    """Return a part of a page with a heading; `name`: what `link_to` leads here by."""
    return tag("section", tag("h2", title), *content, id=name)


def link_to(name: str, *content: Content) -> Markup:
    """Return a link to the section of a name."""
    return tag("a", *content, href=f"#{quote(name)}")


def folded(summary: str, *content: Content) -> Markup:
    """Return what is shown when somebody asks for it, by mouse or by keyboard; on paper it is open."""
    return tag("details", tag("summary", summary), *content)


def paragraph(*content: Content) -> Markup:
    """Return a paragraph."""
    return tag("p", *content)


def date(instant: str) -> Markup:
    """Return the day of an instant, which it has with it in full."""
    return tag("time", instant[:10], datetime=instant)


def figure(caption: str, *content: Content) -> Markup:
    """Return a chart with what it shows in words."""
    return tag("figure", *content, tag("figcaption", caption))


def legend(parts: "list[tuple[str, str]]") -> Markup:
    """Return what each look stands for: (look, words)."""
    items = [
        tag(
            "li",
            tag(
                "svg",
                _swatch(look),
                class_="swatch", viewBox="0 0 16 12", aria_hidden="true",
            ),
            join(" ", words),
        )
        for look, words in parts
    ]  # fmt: skip
    return tag("ul", *items, class_="legend")


def charts(*content: Content) -> Markup:
    """Return charts that stand side by side where there is room."""
    return tag("div", *content, class_="charts")


def facts(*shown: Fact) -> Markup:
    """Return what must be seen first, in the order given."""
    return tag(
        "dl",
        *(
            tag(
                "div",
                tag("dt", each.name),
                tag("dd", each.large, class_="large bad" if each.is_bad else "large"),
                tag("dd", each.small) if each.small is not None else None,
            )
            for each in shown
        ),
        class_="facts",
    )


def _swatch(look: str) -> Markup:
    if look == MARK:
        return tag("line", class_=look, x1=0, y1=6, x2=16, y2=6)
    return tag("rect", class_=look, x=0.5, y=0.5, width=15, height=11)
