"""Objects of other versions: what a newer operator wrote survives an older one, and what an older one left out is filled in."""

import typing
from collections.abc import Iterator
from typing import Any, Final

import pytest
from pydantic import BaseModel

from sublet.api import claim_status
from sublet.api.gpuclaim import GpuClaim, Release
from sublet.api.gpuclass import GpuClass
from sublet.api.gpulease import GpuLease
from sublet.api.gputenant import GpuTenant
from sublet.api.models import MODELS
from sublet.api.relocation import ReleaseCause
from tests.builders.api import NOW, claim, gpu_class, lease, tenant
from tests.builders.worlds import bound_claim

KINDS = [(GpuClaim, claim()), (GpuLease, lease()), (GpuClass, gpu_class()), (GpuTenant, tenant())]


def written(status: Any) -> dict[str, Any]:
    """Return a status as it goes to the hub."""
    found: dict[str, Any] = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    return found


def from_newer() -> GpuClaim:
    """Return a bound claim whose status has fields that this version doesn't know."""
    body = bound_claim().model_dump(mode="json", by_alias=True, exclude_none=True)
    body["status"]["newer"] = {"deep": [1]}
    body["status"]["allocation"]["alsoNewer"] = "x"
    body["spec"]["newerWish"] = True
    return GpuClaim.model_validate(body)


@pytest.mark.parametrize(("kind", "body"), KINDS, ids=lambda each: getattr(each, "__name__", ""))
def test_a_status_of_a_newer_version_is_written_back_with_what_is_unknown(
    kind: type[Any], body: dict[str, Any]
):
    read = kind.model_validate({**body, "status": {"newer": {"deep": [1]}}})

    assert written(read.status)["newer"] == {"deep": [1]}


def test_a_step_of_an_older_operator_keeps_what_a_newer_one_wrote():
    newer = from_newer()
    going = Release(cause=ReleaseCause.DELETED, release_time=NOW, sequence=1)
    status = written(claim_status.releasing(newer, going, NOW))

    assert status["newer"] == {"deep": [1]}
    assert status["allocation"]["alsoNewer"] == "x"


MADE_ANEW: Final = {"conditions", "pending", "offers", "inventory", "outlook", "lines"}
"""What no step takes over from the status before: of it nothing is kept anyway."""


def kept_parts(model: type[BaseModel], path: str) -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield a part of a status and all parts of it that are kept from one write to the next, by path."""
    yield path, model
    for name, field in model.model_fields.items():
        for each in () if name in MADE_ANEW else flat(field.annotation):
            if isinstance(each, type) and issubclass(each, BaseModel):
                yield from kept_parts(each, f"{path}.{field.alias}")


def flat(annotation: Any) -> Iterator[Any]:
    yield annotation
    for each in typing.get_args(annotation):
        yield from flat(each)


PARTS = dict(
    each
    for kind, model in MODELS.items()
    for each in kept_parts(typing.cast("Any", model.model_fields["status"].annotation), kind)
)


@pytest.mark.parametrize("path", PARTS)
def test_every_part_of_a_status_that_lasts_keeps_what_it_doesnt_know(path: str):
    read = PARTS[path].model_construct(newer="x")

    assert read.model_extra == {"newer": "x"}


def test_what_a_newer_version_wrote_deep_in_a_status_survives_a_step():
    body = from_newer().model_dump(mode="json", by_alias=True, exclude_none=True)
    held = body["status"]["allocation"]
    (place,) = held["placements"]
    place["newer"] = 1
    held["rounding"] = {"minimumSeconds": 60, "newer": 2}
    lost = {"sequence": 1, "leaseUID": place["leaseUID"], "gpus": 1, "fromTime": "2026-11-22T10:00:00Z"}  # fmt: skip
    body["status"]["downtimes"] = [{**lost, "cause": "NodeGone", "newer": 3}]

    status = written(claim_status.acknowledged(GpuClaim.model_validate(body)))

    after = status["allocation"]
    found = (after["placements"][0], after["rounding"], status["downtimes"][0])
    assert [each["newer"] for each in found] == [1, 2, 3]


def test_a_leases_terms_take_in_nothing_that_isnt_known():
    sla = {"claimWithinDays": 30, "newer": 1}
    read = GpuLease.model_validate(lease(sla=sla)).spec.sla

    assert read is not None
    assert not read.model_extra


def test_what_is_unknown_changes_no_decision():
    assert claim_status.standing_of(from_newer(), "Degraded") == claim_status.standing_of(
        bound_claim(), "Degraded"
    )


@pytest.mark.parametrize(("kind", "body"), KINDS, ids=lambda each: getattr(each, "__name__", ""))
def test_an_object_without_a_status_is_read_with_the_defaults(
    kind: type[Any], body: dict[str, Any]
):
    assert not kind.model_validate(body).status.conditions
