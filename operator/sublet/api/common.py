"""Types that several kinds share: names, money, instants, conditions, metadata."""

import re
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from sublet.api.names import DNS_LABEL, DNS_NAME, WORD
from sublet.api.schema import ApiModel
from sublet.api.times import Millis, format_instant, parse_instant

PRICE_PATTERN: Final = r"^(0|[1-9][0-9]{0,8})(\.[0-9]{1,6})?$"
_MOST_MESSAGE: Final = 32_768
"""Characters of a condition's message, as Kubernetes bounds it."""
_INSTANT_PATTERN: Final = (
    r"^([1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])-[0-9]{2}-[0-9]{2}"
    r"T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
)
"""Beside `date-time`, of which API servers take more than RFC 3339 has: small letters, the year 0, any sign for a dot.

No rule with a message could say it: a rule is given the instant, and not its text.
"""

Name = Annotated[str, Field(pattern=DNS_LABEL, min_length=1, max_length=63)]
ObjectName = Annotated[str, Field(pattern=DNS_NAME, min_length=1, max_length=253)]
Word = Annotated[str, Field(pattern=WORD, min_length=1, max_length=63)]
Product = Annotated[str, Field(pattern=WORD, min_length=1, max_length=63)]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", max_length=3)]
Gpus = Annotated[int, Field(ge=1, le=1_000_000, json_schema_extra={"format": "int32"})]
LONGEST_SECONDS: Final = 631_152_000
"""Twenty years."""
Seconds = Annotated[int, Field(ge=0, le=LONGEST_SECONDS, json_schema_extra={"format": "int64"})]


def _instant(value: Any) -> Any:
    return parse_instant(value) if isinstance(value, str) else value


def _price(value: Any) -> Any:
    if isinstance(value, str):
        if not re.fullmatch(PRICE_PATTERN, value):
            raise ValueError(f'{value!r} is not a price; write a decimal string such as "2.35"')
        return Decimal(value)
    return value


Instant = Annotated[
    Millis,
    BeforeValidator(_instant),
    PlainSerializer(format_instant, when_used="json-unless-none"),
    WithJsonSchema(
        {"type": "string", "format": "date-time", "pattern": _INSTANT_PATTERN, "maxLength": 64}
    ),
]
"""RFC 3339 on the wire, integer milliseconds inside."""

Price = Annotated[
    Decimal,
    BeforeValidator(_price),
    PlainSerializer(lambda value: format(value, "f"), when_used="json-unless-none"),
    WithJsonSchema({"type": "string", "pattern": PRICE_PATTERN, "maxLength": 16}),
]
"""A decimal string on the wire, never a float; `Decimal` inside."""


class Status(StrEnum):
    """The three values of a condition."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(ApiModel):
    """One observation of an object's state, as Kubernetes defines it."""

    type: Annotated[str, Field(pattern=r"^[A-Za-z]+$", max_length=316)]
    """What is observed, such as Ready or Bound."""
    status: Status
    """True, False or Unknown."""
    reason: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9]*$", min_length=1, max_length=1024)]
    """Why, as one CamelCase word for machines."""
    message: Annotated[str, Field(max_length=_MOST_MESSAGE)] = ""
    """Why, as text for people."""
    observed_generation: Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})] = 0
    """The generation of spec that this was observed of."""
    last_transition_time: Instant
    """When the status last changed."""


class ObjectMeta(ApiModel):
    """The part of Kubernetes metadata that Sublet reads."""

    name: str
    namespace: str = ""
    uid: str = ""
    """Who it is; of an object that was restored from a backup and adopted, who it was before."""
    object_uid: str = ""
    """What the API server calls it, if that is another UID."""
    fault: str = ""
    """What of its spec can't be read, if something: nothing is planned by such a spec."""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: Instant | None = None
    deletion_timestamp: Instant | None = None
    finalizers: tuple[str, ...] = ()
    annotations: dict[str, str] = Field(default_factory=dict)
    """In the operator Sublet's own alone (see reading): all others are whoever's the object is, and of any size."""

    @property
    def own_uid(self) -> str:
        """Return the UID that requests about the object itself need."""
        return self.object_uid or self.uid

    @property
    def key(self) -> str:
        """Return `namespace/name`, or the name alone of a cluster-scoped object."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


def next_condition(
    type_: str,
    found: tuple[Status, str, str],
    before: Condition | None,
    generation: int,
    now_ms: Millis,
) -> Condition:
    """Return what is found now (status, reason, message) as a condition; one whose status stays keeps since when it is so.

    The message is cut: no text, whoever's it is, may keep a status from being written.
    """
    status, reason, message = found
    same = before is not None and before.status is status
    return Condition(
        type=type_,
        status=status,
        reason=reason,
        message=message[:_MOST_MESSAGE],
        observed_generation=generation,
        last_transition_time=before.last_transition_time if before is not None and same else now_ms,
    )


def find_condition(conditions: tuple[Condition, ...], type_: str) -> Condition | None:
    """Return the condition of that type, or None if it was never set."""
    for condition in conditions:  # a loop: this is asked of every claim in every pass
        if condition.type == type_:
            return condition
    return None


def is_true(conditions: tuple[Condition, ...], type_: str) -> bool:
    """Say whether a condition is there and True."""
    for condition in conditions:  # as above
        if condition.type == type_:
            return condition.status is Status.TRUE
    return False
