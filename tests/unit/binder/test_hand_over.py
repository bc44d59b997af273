"""From when a claim is billed: from the try that hands it over, not from those that came no further."""

from types import SimpleNamespace
from typing import Any

import pytest

from sublet.api import claim_status
from sublet.api.claim_status import allocation_of
from sublet.api.gpuclaim import Access, GpuClaim, Release
from sublet.api.relocation import ReleaseCause
from sublet.api.times import Millis
from sublet.binder import bind as binding
from sublet.kube.errors import Conflict, NotFound, ServerError
from tests.builders.api import NOW, with_status
from tests.builders.clusters import Hub
from tests.unit.api.test_claim_status import reserved

HOUR_MS = 3_600_000


class Intents:
    """What the ledger keeps of intents."""

    def __init__(self) -> None:
        self.at_ms: Millis | None = None

    async def intend_bound(self, _: str, __: int, at_ms: Millis, *, anew: bool = False) -> Millis:
        if self.at_ms is None or anew:
            self.at_ms = at_ms
        return self.at_ms


class Secrets:
    """The hub's Secrets: the first write fails, before or after it was applied; `version`: of one that is there."""

    def __init__(self, *, applied: bool, version: int = 0) -> None:
        self.applied, self.version, self.dry_runs = applied, version, 0

    async def replace(self, path: str, secret: Any, *, dry_run: bool) -> dict[str, Any]:
        assert dry_run
        self.dry_runs += 1
        if not self.version:
            raise NotFound(404, "NotFound", path)
        if secret["metadata"].get("resourceVersion", str(self.version)) != str(self.version):
            raise Conflict(409, "Conflict", path)
        return {}


def resumed() -> GpuClaim:
    """Return a claim that was bound once, suspended, and is reserved again; its Secret is left in version 1."""
    access = Access(secret_name="train-kubeconfig", clusters=(), secret_version="1")
    first = reserved()
    runs = with_status(first, claim_status.bound(first, NOW, access, NOW))
    release = Release(cause=ReleaseCause.SUSPENDED, release_time=NOW, sequence=1)
    going = with_status(runs, claim_status.releasing(runs, release, NOW))
    waits = with_status(going, claim_status.released(going, NOW))
    again = allocation_of(first).model_copy(update={"sequence": 2})
    return with_status(waits, claim_status.reserved(waits, again, NOW))


@pytest.mark.parametrize(("applied", "billed_from"), [(False, NOW + 5 * HOUR_MS), (True, NOW)])
@pytest.mark.parametrize(("claim", "version"), [(reserved(), 0), (resumed(), 1)])
async def test_the_bill_begins_with_the_try_that_showed_the_way_in(
    monkeypatch: pytest.MonkeyPatch,
    *,
    claim: GpuClaim,
    version: int,
    applied: bool,
    billed_from: int,
):
    secrets, now = Secrets(applied=applied, version=version), [NOW]
    tools: Any = SimpleNamespace(
        ledger=Intents(), clock=SimpleNamespace(now_ms=lambda: now[0]), claims=Hub(claim),
        hub=secrets, argocd_namespace="",
    )  # fmt: skip
    tries = [ServerError(503, "ServiceUnavailable", "the hub is away"), None]

    async def write_secret(*_: Any) -> Access | None:
        secrets.version += secrets.applied
        if (fault := tries.pop(0)) is not None:
            raise fault
        return None

    monkeypatch.setattr(binding, "write_secret", write_secret)
    with pytest.raises(ServerError):
        await binding._hand_over(claim, [], tools)
    assert secrets.dry_runs == 0

    now[0] = Millis(NOW + 5 * HOUR_MS)
    done: GpuClaim = await binding._hand_over(claim, [], tools)

    assert done.status.allocation is not None
    assert done.status.allocation.bound_time == billed_from
