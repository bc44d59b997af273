"""An operator of an older version: `python -m tests.harness.older`, whose models lack the newest fields of a claim's status.

It neither sees them nor puts them back: a status is put whole, so what another version wrote there is gone after its next write.
"""

import runpy
from collections.abc import Mapping
from typing import Any, Final

from sublet.api import reading
from sublet.api.gpuclaim import ClaimStatus, GpuClaim
from sublet.binder.claims import ClaimWriter
from tests.harness import tracing

FIELDS: Final = frozenset(
    {"hostShareNoted", "endpointDigest", "earlierSecretVersion", "openedTime", "vacatedTime"}
)
"""Those that came last, wherever in a status they stand."""


def forget(value: Any) -> Any:
    """Return a status without the newest fields."""
    if isinstance(value, Mapping):
        return {key: forget(each) for key, each in value.items() if key not in FIELDS}
    return [forget(each) for each in value] if isinstance(value, list) else value


def wrap() -> None:
    """Read and write claims as an older version does from now on, and trace every request."""
    tracing.wrap()
    validated, write = (
        reading._validated,
        ClaimWriter.write_status,
    )  # all reads of claims, all writes

    def read(raw: Mapping[str, Any]) -> GpuClaim:
        return validated({**raw, "status": forget(raw.get("status") or {})})

    async def write_status(self: ClaimWriter, claim: GpuClaim, status: ClaimStatus) -> GpuClaim:
        body = status.model_dump(mode="json", by_alias=True, exclude_none=True)
        return await write(self, claim, ClaimStatus.model_validate(forget(body)))

    reading._validated = read
    ClaimWriter.write_status = write_status  # type: ignore[method-assign]  # that is the point


if __name__ == "__main__":
    wrap()
    runpy.run_module("sublet", run_name="__main__")  # as it is always started
