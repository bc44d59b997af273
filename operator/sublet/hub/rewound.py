"""What tells a hub whose etcd was restored from a newer version of this program: both say something else than the ledger. Pure.

On a rewound hub generations count again, so that one may say two things; an instant of a status may be long past. The
ledger is never rewound: what the hub says now comes after all that the ledger has.
"""

import json
from dataclasses import replace
from typing import Any, Final

from pydantic import BaseModel

from sublet.api.times import Millis
from sublet.kube.versions import version_number
from sublet.ledger.entry import Fact
from sublet.ledger.texts.base import Text
from sublet.ledger.texts.lease import LeaseTerms
from sublet.ledger.texts.offer import ClassTerms
from sublet.ledger.texts.tenant import TenantTerms

_MODELS: Final[dict[str, type[Text]]] = {
    each.KIND: each for each in (LeaseTerms, ClassTerms, TenantTerms)
}


def agree(before: str, now: str) -> bool:
    """Say whether two texts of one object say the same, but for what the version that wrote the first didn't know.

    What can't be read is of another version.
    """
    model = _MODELS[json.loads(now)["kind"]]
    try:
        return _agree(model.read(before), model.read(now))
    except ValueError:
        return True


def _agree(before: Any, now: Any) -> bool:
    if isinstance(before, BaseModel) and isinstance(now, BaseModel):
        # what is None isn't in a text; any other default is, if the version that wrote it knew the field
        known = (
            name
            for name, field in type(now).model_fields.items()
            if name in before.model_fields_set or field.default is None
        )
        return all(_agree(getattr(before, name), getattr(now, name)) for name in known)
    if isinstance(before, tuple) and isinstance(now, tuple):
        return len(before) == len(now) and all(map(_agree, before, now))
    return bool(before == now)


def is_later(level: Fact, last: Fact) -> bool:
    """Say whether a level of a lease comes after the one that the ledger takes as its last."""
    return (level.at_ms, level.sequence) > (last.at_ms, last.sequence)


def made_later(level: Fact, last: Fact, now_ms: Millis) -> Fact:
    """Return a level from a rewound hub as it holds: from now on, since it is seen."""
    return replace(made_next(level, last), at_ms=Millis(max(last.at_ms, now_ms)))


def made_next(fact: Fact, last: Fact) -> Fact:
    """Return a mark from a rewound hub as the next after one that the ledger has.

    It names the newer version of both: by the versions of the last lines a hub is known to be rewound.
    """
    newer = max(fact.source_version, last.source_version, key=version_number)
    return replace(fact, sequence=last.sequence + 1, source_version=newer)
