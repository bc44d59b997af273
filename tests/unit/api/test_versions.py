"""Objects of other versions: what a newer operator wrote survives an older one, and what an older one left out is filled in."""

from typing import Any

import pytest

from sublet.api import claim_status
from sublet.api.gpuclaim import GpuClaim, Release
from sublet.api.gpuclass import GpuClass
from sublet.api.gpulease import GpuLease
from sublet.api.gputenant import GpuTenant
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


def test_what_is_unknown_changes_no_decision():
    assert claim_status.standing_of(from_newer(), "Degraded") == claim_status.standing_of(
        bound_claim(), "Degraded"
    )


@pytest.mark.parametrize(("kind", "body"), KINDS, ids=lambda each: getattr(each, "__name__", ""))
def test_an_object_without_a_status_is_read_with_the_defaults(
    kind: type[Any], body: dict[str, Any]
):
    assert not kind.model_validate(body).status.conditions
