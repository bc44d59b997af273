"""The table of values in the chart's README, made of values.yaml and its comments, so that neither tells what the other doesn't."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import yaml

BEGIN: Final = "<!-- values: made of values.yaml by `make generate` -->\n"
END: Final = "<!-- the end of values -->\n"
_KEY: Final = re.compile(r"^(?P<indent> *)(?P<key>\w+):(?P<rest>.*)$")


class Value(NamedTuple):
    """One value that can be set."""

    path: str
    default: Any
    text: str
    """The comment above it, in one line."""


def with_tables(page: str, values: str) -> str:
    """Return the README with its table of values anew; ValueError if the page has no place for it."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the chart's README has no place for the table: {BEGIN.strip()}")
    rows = "".join(
        f"| `{v.path}` | `{json.dumps(v.default, ensure_ascii=False)}` | {v.text} |\n"
        for v in values_of(values)
    )
    return f"{head}{begin}\n| value | default | what |\n|---|---|---|\n{rows}\n{end}{tail}"


def values_of(text: str) -> Iterator[Value]:
    """Yield every value of values.yaml; a mapping that is empty or written on one line is a value itself."""
    defaults = yaml.safe_load(text)
    above: list[str] = []
    path: list[str] = []
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if line.lstrip().startswith("#"):
            above.append(line.strip().removeprefix("#").strip())
            continue
        found = _KEY.match(line)
        if found is not None:
            path[len(found["indent"]) // 2 :] = [found["key"]]
            below = lines[number + 1] if number + 1 < len(lines) else ""
            is_group = not found["rest"].strip() and not below.lstrip().startswith("- ")
            if not is_group:
                yield Value(".".join(path), _at(defaults, path), " ".join(above))
        above = []


def _at(values: Any, path: list[str]) -> Any:
    for key in path:
        values = values[key]
    return values
