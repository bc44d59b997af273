"""What an example of a CEL rule is made of: an object, or a change of one, that is accepted or refused."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.integration.api.asking import Body

Key = tuple[str, str, str]
"""kind, path, message"""
UID = "@UID@"
"""Stands for the UID of the object that the case changes."""


@dataclass(frozen=True)
class Case:
    """A new object, or a change of one that stands and has these conditions and this said in its status."""

    body: Body
    first: Body | None = None
    states: Mapping[str, str] = field(default_factory=dict)
    status: Mapping[str, str] = field(default_factory=dict)
    said: str = ""
    """The words of its refusal, if the rule's message isn't what is said."""


@dataclass(frozen=True)
class Examples:
    """What one rule lets through and what it stops."""

    accepted: tuple[Case, ...]
    refused: tuple[Case, ...]
