"""What `sublet top` decodes of objects says the same as their models do."""

from typing import Any, get_args, get_origin, get_type_hints

import msgspec
import pytest
from pydantic import BaseModel

from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.move_status import all_nodes
from sublet.book.holdings import held_by
from sublet.cli.overview import Claim, Lease
from tests.builders.api import claim, lease
from tests.builders.stored import bound_claim, let_go_claim


def seen(body: dict[str, Any]) -> Claim:
    return msgspec.json.decode(msgspec.json.encode(body), type=Claim)


def inner(hint: Any, base: type) -> type | None:
    """Return the class of that family in a type: X, X | None, tuple[X, ...]."""
    if isinstance(hint, type) and get_origin(hint) is None:
        return hint if issubclass(hint, base) else None
    found = (inner(each, base) for each in get_args(hint))
    return next((each for each in found if each is not None), None)


def compare(part: type[msgspec.Struct], model: type[BaseModel], path: str) -> list[str]:
    """Return what a part reads that its model hasn't, or needs where the model doesn't."""
    wrong, hints = [], get_type_hints(part)
    known = {f.alias or name: (name, f) for name, f in model.model_fields.items()}
    for field in msgspec.structs.fields(part):
        at = f"{path}.{field.encode_name}"
        if field.encode_name not in known:
            wrong.append(at)
            continue
        name, of_model = known[field.encode_name]
        if field.required and not of_model.is_required():
            wrong.append(f"{at} may be missing")
        nested = inner(hints[field.name], msgspec.Struct)
        if nested is not None:
            hint = get_type_hints(model)[name]
            wrong += compare(nested, inner(hint, BaseModel), at)
    return wrong


@pytest.mark.parametrize(("part", "model"), [(Claim, GpuClaim), (Lease, GpuLease)])
def test_each_field_that_is_read_is_one_of_the_api(part, model):
    assert compare(part, model, model.__name__) == []


def moving() -> dict[str, Any]:
    body = bound_claim(gpus=16)
    (stays, goes) = body["status"]["allocation"]["placements"]
    other = {**goes, "node": "other", "nodeUID": "00000000-0000-4000-8000-00000000000a"}
    left = {**goes, "node": "left", "nodeUID": "00000000-0000-4000-8000-00000000000b"}
    then = {"sequence": 2, "cause": "NodeFailed", "decidedTime": "2026-11-22T10:00:00Z"}
    times = {"boundTime": "2026-11-22T09:00:00Z", "releaseTime": "2026-11-22T10:00:00Z"}
    body["status"]["move"] = {**then, "placements": [stays, other]}
    gone = {"sequence": 1, "cause": "NodeFailed", **times, "metered": [], "placements": [left]}
    body["status"]["leaving"] = [gone, {**gone, "freedTime": "2026-11-22T11:00:00Z"}]
    return body


@pytest.mark.parametrize(
    "body", [bound_claim(), let_go_claim(), claim("waits"), moving()],
    ids=["bound", "let go", "waits", "moving"],
)  # fmt: skip
def test_a_claim_holds_what_its_model_says_and_is_on_the_same_nodes(body):
    found, model = seen(body), GpuClaim.model_validate(body)
    held = held_by(model)

    assert (found.held is None) == (held is None)
    assert sorted(found.nodes) == sorted(p.node for p in all_nodes(model))


def test_a_lease_is_read_as_it_is_applied():
    found = msgspec.json.decode(msgspec.json.encode(lease("west")), type=Lease)

    assert (found.metadata.name, found.status.inventory) == ("west", None)
