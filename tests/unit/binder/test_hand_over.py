"""From when a claim is billed: from the try that hands it over, not from those that came no further."""

from types import SimpleNamespace
from typing import Any

import pytest

from sublet.api.gpuclaim import Access, GpuClaim
from sublet.api.times import Millis
from sublet.binder import bind as binding
from sublet.kube.errors import NotFound, ServerError
from tests.builders.api import NOW
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
    """The hub's Secrets: the first write fails, before or after it was applied."""

    def __init__(self, *, applied: bool) -> None:
        self.applied, self.is_there, self.dry_runs = applied, False, 0

    async def replace(self, path: str, _: Any, *, dry_run: bool) -> dict[str, Any]:
        assert dry_run
        self.dry_runs += 1
        if not self.is_there:
            raise NotFound(404, "NotFound", path)
        return {}


@pytest.mark.parametrize(("applied", "billed_from"), [(False, NOW + 5 * HOUR_MS), (True, NOW)])
async def test_the_bill_begins_with_the_try_that_showed_the_way_in(
    monkeypatch: pytest.MonkeyPatch, *, applied: bool, billed_from: int
):
    claim, secrets, now = reserved(), Secrets(applied=applied), [NOW]
    tools: Any = SimpleNamespace(
        ledger=Intents(), clock=SimpleNamespace(now_ms=lambda: now[0]), claims=Hub(claim),
        hub=secrets, argocd_namespace="",
    )  # fmt: skip
    tries = [ServerError(503, "ServiceUnavailable", "the hub is away"), None]

    async def write_secret(*_: Any) -> Access | None:
        secrets.is_there = secrets.applied
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
