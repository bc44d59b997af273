"""What a claim that can't be read holds, read from its status as it stands: whatever is there may be of any shape. Pure."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any, Final

from pydantic import ValidationError

from sublet.api.common import PRICE_PATTERN
from sublet.api.gpuclaim import Booking
from sublet.api.ids import LeaseUID, TenantUID
from sublet.api.times import Millis, parse_instant
from sublet.book.steps import FOREVER
from sublet.book.unread import UnreadHolder

_HOLDS_NOTHING: Final = frozenset({"conditions", "pending", "offers", "outages", "downtimes"})
"""Of a claim's status: what is only told, or has been."""
_NAMES: Final = ("leaseUID", "tenantUID", "className")


def holder_of(key: str, body: Mapping[str, Any]) -> UnreadHolder | None:
    """Return what a claim holds, None if it names nothing, or says that it is free."""
    said = statuses(body)
    is_leaving = said.get("Releasing") == "True"
    if said.get("Reserved") == "False" and not is_leaving:
        return None
    status = part(body, "status")
    named: dict[str, set[str]] = {name: set() for name in _NAMES}
    for name, text in _named({k: v for k, v in status.items() if k not in _HOLDS_NOTHING}):
        named[name].add(text)
    leases, tenants, classes = (named[name] for name in _NAMES)
    if not leases and not tenants:
        return None
    classes |= {text for name, text in _named(part(body, "spec")) if name == "className"}
    allocation = part(status, "allocation")
    placed = sum(_whole(each.get("gpus")) for each in _listed(allocation.get("placements")))
    price, currency = allocation.get("pricePerGpuHour"), allocation.get("currency")
    start = _instant(part(part(body, "spec"), "schedule").get("startTime"))
    until = allocation.get("untilTime")
    end = FOREVER if until is None else _instant(until)
    is_sure = not placed and not is_leaving and start is not None and end is not None
    costs = isinstance(price, str) and re.fullmatch(PRICE_PATTERN, price) and not is_leaving
    return UnreadHolder(
        key=key,
        leases=frozenset(map(LeaseUID, leases)),
        classes=frozenset(classes),
        tenants=frozenset(map(TenantUID, tenants)),
        gpus=placed or _promised(allocation),
        from_ms=Millis(0) if placed else start or Millis(0),
        bookings=tuple(_bookings(allocation)) if is_sure else (),
        until_ms=end if end is not None else FOREVER,
        price=Decimal(str(price)) if costs else Decimal(0),
        currency=currency if isinstance(currency, str) else "",
        is_billed="boundTime" in allocation and not is_leaving,
    )


def part(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return an object's part by name, an empty one if it makes no sense."""
    found = body.get(name)
    return found if isinstance(found, Mapping) else {}


def conditions(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return an object's conditions."""
    return list(_listed(part(body, "status").get("conditions")))


def statuses(body: Mapping[str, Any]) -> dict[Any, Any]:
    """Return condition -> its status."""
    return {str(c.get("type")): c.get("status") for c in conditions(body)}


def _promised(allocation: Mapping[str, Any]) -> int:
    bookings = _listed(allocation.get("bookings"))
    return sum(_whole(x.get("nodes")) * _whole(x.get("gpusPerNode")) for x in bookings)


def _bookings(allocation: Mapping[str, Any]) -> Iterator[Booking]:
    for each in _listed(allocation.get("bookings")):
        with suppress(ValidationError):
            yield Booking.model_validate(each).known()


def _instant(value: Any) -> Millis | None:
    with suppress(ValueError):
        return parse_instant(value) if isinstance(value, str) else None
    return None


def _whole(value: Any) -> int:
    """Return a number of things, 0 if it is none; to Python True is a number too."""
    return value if type(value) is int and value > 0 else 0


def _listed(value: Any) -> Iterator[Mapping[str, Any]]:
    return (x for x in (value if isinstance(value, list) else ()) if isinstance(x, Mapping))


def _named(value: Any) -> Iterator[tuple[str, str]]:
    """Yield what stands under these names, at any depth but in what is free again."""
    if isinstance(value, Mapping) and "freedTime" not in value:
        for key, inner in value.items():
            if not isinstance(inner, str):
                yield from _named(inner)
            elif key in _NAMES and inner:
                yield key, inner
    elif isinstance(value, list):
        for inner in value:
            yield from _named(inner)
