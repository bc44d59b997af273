"""Objects from the wire, those too of which something can't be read. Pure.

An API server takes what its schema allows, and a schema and a parser never agree on every text. Whoever owns a claim
can write such a text into its spec at any time: the claim must neither be planned by what it said before, nor lose or
keep for ever what it holds. Its status is the operator's own, so what it holds can be read all the same. A lease, a
class or a tenant goes on as it was. Read by the hub's state and by whoever reads a claim live.
"""

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from sublet.api.common import is_true
from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpuclass import GpuClass
from sublet.api.gpulease import GpuLease
from sublet.api.gputenant import GpuTenant
from sublet.api.names import GROUP

K = TypeVar("K", GpuClass, GpuLease, GpuTenant)
SPEC_UNREAD: Final = "SpecUnread"
_FAULT_LENGTH: Final = 500
_MADE_ANEW: Final = frozenset({"pending", "offers"})
"""Of a claim's status: every pass says it again, so nothing is lost with it."""


class Unreadable(ValueError):
    """Not even what a claim holds can be read, or the object was never read before."""


def read_terms(model: type[K], raw: Mapping[str, Any], last: K | None = None) -> K:
    """Return a lease, class or tenant; one whose spec can't be read has a fault, and goes on by the spec of `last`.

    Nothing is left out of it: a lease without its denied networks is another lease. Unreadable if there is no `last`.
    """
    raw = _with_own_annotations(raw)
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        fault = fault_of(error)
    if last is None or last.metadata.own_uid != (raw.get("metadata") or {}).get("uid"):
        raise Unreadable(fault)
    try:
        found = model.model_validate({**raw, "spec": last.spec})
    except ValidationError as error:
        raise Unreadable(fault_of(error)) from error
    # its status describes what was read, and says so to whoever waits for the newest spec
    update = {"fault": fault, "generation": last.metadata.generation}
    return found.model_copy(update={"metadata": found.metadata.model_copy(update=update)})


def read_claim(raw: Mapping[str, Any], last: GpuClaim | None = None) -> GpuClaim:
    """Return a claim; one whose spec can't be read has a fault, and the spec of `last`, as it was read before.

    Without that, what can't be read is left out, and so is what is made anew. Unreadable if something else of it can't be read.
    """
    raw = _with_own_annotations(raw)
    try:
        return _validated(raw)
    except ValidationError as error:
        fault = error
    own = raw.get("metadata") or {}
    known = last if last is not None and last.metadata.own_uid == own.get("uid") else None
    spec = known.spec if known is not None else _without(raw.get("spec"), fault)
    try:
        found = _validated({**raw, "spec": spec})
    except ValidationError as error:
        raise Unreadable(fault_of(error)) from error
    update: dict[str, Any] = {"fault": fault_of(fault)}
    if _holds(found):
        # its status describes what was read, and says so to whoever waits for the newest spec
        seen = found.status.observed_generation
        update["generation"] = known.metadata.generation if known is not None else seen
    return found.model_copy(update={"metadata": found.metadata.model_copy(update=update)})


def _validated(raw: Mapping[str, Any]) -> GpuClaim:
    """Return a claim, without what a newer version said of why it waits: that would keep it from being served.

    All that is said of it goes with a part, so that the next pass finds it unsaid and says it anew.
    """
    try:
        return GpuClaim.model_validate(raw)
    except ValidationError as error:
        lost = {
            x["loc"][1] for x in error.errors() if x["loc"][0] == "status" and len(x["loc"]) > 1
        }
        if lost.isdisjoint(_MADE_ANEW):
            raise
    status = {k: v for k, v in raw["status"].items() if k not in _MADE_ANEW}
    return GpuClaim.model_validate({**raw, "status": status})


def _with_own_annotations(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an object with Sublet's own annotations alone: what is kept of it mustn't be of any size."""
    meta = raw.get("metadata")
    if not isinstance(meta, Mapping):
        return raw
    said = meta.get("annotations")
    if not isinstance(said, Mapping) or all(GROUP in key for key in said):
        return raw
    own = {key: text for key, text in said.items() if GROUP in key}
    return {**raw, "metadata": {**meta, "annotations": own}}


def goes_on(fault: str) -> str:
    """Say of an object whose spec became unreadable how it goes on."""
    return f"its spec can't be read, and it goes on as it was: {fault}"


def fault_of(error: ValidationError) -> str:
    """Return what is wrong with an object, by the first thing that is."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}"[:_FAULT_LENGTH]


def _holds(claim: GpuClaim) -> bool:
    conditions = claim.status.conditions
    return is_true(conditions, "Reserved") or is_true(conditions, "Releasing")


def _without(spec: Any, error: ValidationError) -> Any:
    """Return a spec without the fields that can't be read."""
    for each in error.errors():
        if each["loc"][0] == "spec":
            spec = _dropped(spec, each["loc"][1:])
    return spec


def _dropped(value: Any, path: tuple[int | str, ...]) -> Any:
    """Return an object without the innermost field that a path leads to."""
    if not isinstance(value, Mapping) or not path or path[0] not in value:
        return value
    name, rest = path[0], path[1:]
    inner = _dropped(value[name], rest)
    if inner is value[name]:
        return {k: v for k, v in value.items() if k != name}
    return {**value, name: inner}
