"""Elements: names and attributes from the program, content escaped."""

from markupsafe import Markup, escape

Content = object
"""Text, which is escaped; Markup, which is not; None, which is nothing."""
_VOID = frozenset({"br", "hr", "meta", "line", "rect", "path", "use", "circle"})


def tag(name: str, /, *content: Content, **attributes: object) -> Markup:
    """Return an element; `class_` is `class`, `_` in a name stands for `-`, an attribute that is None is left out."""
    given = Markup("").join(
        Markup(' {}="{}"').format(Markup(key.rstrip("_").replace("_", "-")), value)  # noqa: S704  names are our own
        for key, value in attributes.items()
        if value is not None
    )
    shown = Markup(name)  # noqa: S704  names are our own
    if name in _VOID and not content:
        return Markup("<{}{}/>").format(shown, given)
    return Markup("<{}{}>{}</{}>").format(shown, given, join(*content), shown)


def join(*content: Content) -> Markup:
    """Return contents one after the other."""
    return Markup("").join(escape(each) for each in content if each is not None)
