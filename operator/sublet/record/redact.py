"""Records without names and prices that decide the same: for handing a pass to somebody outside.

Every text becomes a placeholder, the same one wherever it stands, numbered in the texts' own order so that ties by name
fall as before; new fields are hidden unless their name is listed here. Prices become their ranks, or keep their ratios.
What is hidden is decided anew and compared, so a redaction that would change a decision is an error and no file.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from itertools import zip_longest
from typing import Final

from sublet.api.names import GROUP
from sublet.book.decisions import Plan
from sublet.book.plan import plan
from sublet.book.view import View
from sublet.record.codec import AS_IT_IS, Json, Leaves, RecordError
from sublet.record.passes import Recorded, lines_of, plan_codec, view_codec

LEGIBLE: Final = frozenset(
    {
        "product", "products", "product_aliases",
        "jurisdiction", "jurisdictions", "country", "currency",
        "kubernetes_version",
        # words of conditions and counts, which the book itself looks for
        "type", "reason",
    }
)  # fmt: skip
"""Fields whose texts stay: what kind of GPU, under whose law, in what money, in what state."""

_OWN_WORDS: Final = "*"
_OWN_AMOUNT: Final = Decimal("NaN")


def redact(recorded: Recorded, factor: Decimal | None = None) -> Recorded:
    """Return a record with the same decisions under other names.

    Prices become ranks, which keep their order and nothing else; with a factor they are multiplied by it, for passes
    that weigh sums of prices. RecordError if the decisions aren't this program's, or would come out otherwise.
    """
    made = plan(recorded.view)
    if lines_of(made) != recorded.lines:
        raise RecordError(
            f"these decisions aren't this program's; redact with the version that made them ({recorded.program})"
        )
    cover = Cover(recorded.view, factor)
    view = cover.of_view(recorded.view)
    again = plan(view)
    if not cover.hides(made, again):
        ways = "prices could keep their ratios" if factor is None else "it can't be redacted"
        raise RecordError(f"under other names and prices this pass decides otherwise; {ways}")
    return Recorded(view=view, lines=lines_of(again), redacted=True)


class Cover(Leaves):
    """What stands for each text and each price of one view."""

    def __init__(self, view: View, factor: Decimal | None = None) -> None:
        seen = _Seen()
        view_codec().write(view, seen)
        self.texts: Mapping[str, str] = _placeholders(seen.texts)
        """Text -> placeholder"""
        self.amounts: Mapping[Decimal, Decimal] = (
            _ranks(seen.amounts)
            if factor is None
            else {amount: amount * factor for amount in seen.amounts}
        )
        """Price -> what stands for it"""

    def text(self, name: str, value: str) -> str:
        """Return the placeholder of a text; of one that isn't the view's, that it is the book's own."""
        return value if _is_legible(name, value) else self.texts.get(value, _OWN_WORDS)

    def amount(self, value: Decimal) -> Decimal:
        """Return what stands for a price; of one that isn't the view's, that the book worked it out."""
        return self.amounts.get(value, _OWN_AMOUNT)

    def of_view(self, view: View) -> View:
        """Return the view under its cover."""
        codec = view_codec()
        covered: View = codec.read(codec.write(view, self))
        return covered

    def hides(self, made: Plan, again: Plan) -> bool:
        """Say whether a plan is the same decisions under this cover."""
        codec = plan_codec()
        return _alike(codec.write(made, self), codec.write(again, AS_IT_IS))


class _Seen(Leaves):
    """Takes note of all that is to be covered."""

    def __init__(self) -> None:
        self.texts: set[str] = set()
        self.amounts: set[Decimal] = set()

    def text(self, name: str, value: str) -> str:
        if not _is_legible(name, value):
            self.texts.add(value)
        return value

    def amount(self, value: Decimal) -> Decimal:
        self.amounts.add(value)
        return value


def _is_legible(name: str, value: str) -> bool:
    """Say whether a text tells nothing: it is empty, a name of our own, or in a field that may be read."""
    return not value or name in LEGIBLE or value.startswith(f"{GROUP}/")


def _placeholders(texts: Iterable[str]) -> dict[str, str]:
    """Return text -> placeholder, in the same order."""
    known = sorted(texts)
    width = max(4, len(str(len(known))))
    return {text: f"n{number:0{width}}" for number, text in enumerate(known, 1)}


def _ranks(amounts: Iterable[Decimal]) -> dict[Decimal, Decimal]:
    """Return amount -> its place, counted from zero, which stays."""
    known = sorted({*amounts, Decimal(0)})
    zero = known.index(Decimal(0))
    return {amount: Decimal(place - zero) for place, amount in enumerate(known)}


def _alike(expected: Json, found: Json) -> bool:
    """Say whether JSON is what is expected; what the book itself worded or worked out isn't compared."""
    if isinstance(expected, dict) and isinstance(found, dict):
        return _alike([*expected.items()], [*found.items()])
    if isinstance(expected, list | tuple) and isinstance(found, list | tuple):
        pairs = zip_longest(expected, found, fillvalue=...)
        return all(_alike(one, other) for one, other in pairs)
    if expected in (_OWN_WORDS, str(_OWN_AMOUNT)):
        return isinstance(found, str)
    return type(expected) is type(found) and bool(expected == found)
