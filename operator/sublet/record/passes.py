"""A recorded pass: one JSON document with the whole view and the decisions made of it.

    {"sublet": "pass/v1", "program": "0.1.0", "redacted": false, "view": {...}, "plan": [...]}

Instants are integer milliseconds, amounts are texts, every field is written. The plan is a list with one object per
decision and one last object with the rest of it. Reading is strict: what isn't known can't be replayed.
"""

import json
from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import Final, cast

from sublet import __version__
from sublet.book.decisions import Plan
from sublet.book.plan import plan
from sublet.book.view import View
from sublet.record.codec import AS_IT_IS, Codec, Json, RecordError, at, dumps
from sublet.record.composites import TAG
from sublet.record.shape import codec_of

FORMAT: Final = "pass/v1"
_DECISIONS: Final = "decisions"


@dataclass(frozen=True, slots=True)
class Recorded:
    """One pass: its input, its decisions as JSON lines, and which version of the program made them."""

    view: View
    lines: tuple[str, ...]
    program: str = __version__
    redacted: bool = False


@cache
def view_codec() -> Codec:
    """Return the codec of views."""
    return codec_of(View)


@cache
def plan_codec() -> Codec:
    """Return the codec of plans."""
    return codec_of(Plan)


def lines_of(made: Plan) -> tuple[str, ...]:
    """Return a plan as JSON lines: each decision, then when to look again."""
    raw: dict[str, Json] = plan_codec().write(made, AS_IT_IS)
    decisions = raw.pop(_DECISIONS)
    return (*map(dumps, decisions), dumps({TAG: "Plan", **raw}))


def replay(recorded: Recorded) -> tuple[str, ...]:
    """Return the decisions that the book makes of a recorded view now."""
    return lines_of(plan(recorded.view))


def write_pass(recorded: Recorded) -> str:
    """Return the document, one line; RecordError if the view holds what can't be written."""
    return dumps(
        {
            "sublet": FORMAT,
            "program": recorded.program,
            "redacted": recorded.redacted,
            "view": at("view", view_codec().write, recorded.view, AS_IT_IS),
            "plan": [json.loads(line) for line in recorded.lines],
        }
    )


def read_pass(text: str) -> Recorded:
    """Return a recorded pass; RecordError says in one line what is wrong with the document and where."""
    raw = _parse(text)
    if not isinstance(raw, dict) or "sublet" not in raw:
        raise RecordError("this is no recorded pass")
    if raw["sublet"] != FORMAT:
        raise RecordError(f"recorded as {str(raw['sublet'])[:60]!r}; this program reads {FORMAT}")
    envelope = cast("_Envelope", _envelope().read({k: v for k, v in raw.items() if k not in _BODY}))
    for name in _BODY:
        if name not in raw:
            raise RecordError(f"missing field {name}")
    lines = raw["plan"]
    if not isinstance(lines, list) or not all(isinstance(line, dict) for line in lines):
        raise RecordError("plan: a list of objects wanted")
    return Recorded(
        view=at("view", view_codec().read, raw["view"]),
        lines=tuple(map(dumps, lines)),
        program=envelope.program,
        redacted=envelope.redacted,
    )


@dataclass(frozen=True, slots=True)
class _Envelope:
    """What stands around view and plan."""

    sublet: str
    program: str
    redacted: bool


_BODY: Final = ("view", "plan")


@cache
def _envelope() -> Codec:
    return codec_of(_Envelope)


def _parse(text: str) -> Json:
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno} of {len(text)} characters"
        raise RecordError(f"not JSON, or cut off: {error.msg} at {where}") from None
    except RecursionError:
        raise RecordError("not a recorded pass: nested too deep") from None
    except RecordError:
        raise
    except ValueError as error:  # a number with thousands of digits
        raise RecordError(f"not JSON: {error}") from None


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise RecordError(f"the field {twice[:60]!r} stands twice in one object")
    return found


def _refuse(text: str) -> Json:
    raise RecordError(f"{text} is no number")
