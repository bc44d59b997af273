"""A whole page: head, style, patterns, content."""

from typing import Final

from markupsafe import Markup

from sublet.html.markup import Content, join, tag
from sublet.html.style import PATTERNS, STYLE

_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
)
"""Nothing is fetched and no script runs, whatever a name in the page may say."""


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


def section(title: str, *content: Content) -> Markup:
    """Return a part of a page with a heading."""
    return tag("section", tag("h2", title), *content)


def folded(summary: str, *content: Content) -> Markup:
    """Return what is shown when somebody asks for it, by mouse or by keyboard; on paper it is open."""
    return tag("details", tag("summary", summary), *content)


def paragraph(*content: Content) -> Markup:
    """Return a paragraph."""
    return tag("p", *content)


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
                tag("rect", class_=look, x=0.5, y=0.5, width=15, height=11),
                class_="swatch", viewBox="0 0 16 12", aria_hidden="true",
            ),
            join(" ", words),
        )
        for look, words in parts
    ]  # fmt: skip
    return tag("ul", *items, class_="legend")
