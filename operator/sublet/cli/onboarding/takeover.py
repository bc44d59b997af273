"""Has the operator taken a new credential up? Asked before the older ones die, so that it is never locked out.

The operator says in each lease's status which version of the Secret the cluster accepted last, and it goes by the
newest that it has seen; so once every lease that refers to the Secret shows this version or a later one, nobody uses
what was there before.
"""

import asyncio
import time
from typing import Final

from sublet.api.gpulease import GpuLease
from sublet.api.kinds import LEASES
from sublet.api.wording import how_many
from sublet.cli.onboarding.findings import say
from sublet.cli.onboarding.place import Pair, Place
from sublet.cli.problems import Problem
from sublet.kube.errors import NotFound

WAIT_SECONDS: Final = 60
_EVERY_SECONDS: Final = 0.5


async def wait_until_used(pair: Pair, place: Place, version: str, seconds: int) -> None:
    """Wait until every lease with this Secret uses this version of it; Problem if one doesn't in time.

    Nothing has been revoked then, and the same command goes on where this one ended.
    """
    deadline = time.monotonic() + seconds
    while behind := [x for x in await _leases(pair, place) if not _uses(x, version)]:
        if time.monotonic() > deadline:
            names = ", ".join(sorted(x.metadata.name for x in behind))
            raise Problem(
                f"the operator hasn't taken the new credential up for {names} in {how_many(seconds, 'second')} (is it "
                "running, and can it reach the cluster?); the older ones still work. Run it again without --rotate"
            )
        await asyncio.sleep(_EVERY_SECONDS)
    say("used", "the operator has taken the new credential up")


async def _leases(pair: Pair, place: Place) -> list[GpuLease]:
    """Return the leases whose credential the Secret is."""
    try:
        items = (await pair.hub.get(LEASES.path()))["items"]
    except NotFound:
        return []
    leases = [GpuLease.model_validate(item) for item in items]
    return [x for x in leases if _refers_to(x, place.name)]


def _refers_to(lease: GpuLease, name: str) -> bool:
    ref = lease.spec.cluster_ref.kubeconfig_secret_ref
    return ref is not None and ref.name == name


def _uses(lease: GpuLease, version: str) -> bool:
    used = lease.status.credential_version or ""
    if used.isdecimal() and version.isdecimal():
        return int(used) >= int(version)
    return used == version
