"""`sublet offboard`: takes everything back from a leased cluster, or refuses and changes nothing.

Refused while a lease or a claim still needs the cluster. The operator's rights go first, then the policies, which
guard what is taken back after them; only what onboarding marked as its own is deleted, by UID.
"""

import asyncio
import time
from typing import Any, Final

from sublet.api.wording import how_many
from sublet.cli.connect import Cluster
from sublet.cli.onboarding.apply import delete_if_there, is_policy, path_of, read_or_none
from sublet.cli.onboarding.credential import revoke_others
from sublet.cli.onboarding.findings import say
from sublet.cli.onboarding.hub_side import leases_of, require_secret_fits
from sublet.cli.onboarding.marks import check_owner, is_ours, read_install
from sublet.cli.onboarding.nodemarks import find_marked, take_off
from sublet.cli.onboarding.nodes import some
from sublet.cli.onboarding.place import Pair, Place, both
from sublet.cli.problems import Problem
from sublet.fleet.isolation import PROBE_NAMESPACE
from sublet.manifests.render import LeasedOptions, Manifest, leased_cluster

_GONE_SECONDS: Final = 60.0
_WAIT_SECONDS: Final = 0.25


async def offboard(place: Place) -> None:
    """Take everything back; Problem, and nothing is changed, while it is still needed."""
    async with both(place) as pair:
        leased = pair.leased
        secret = await _check(pair, place)
        manifests = leased_cluster(LeasedOptions(namespace=place.namespace, account=place.account))
        rights = [m for m in manifests if m["kind"] == "ClusterRoleBinding"]
        policies = [m for m in manifests if is_policy(m)]
        rest = [m for m in manifests if m not in rights and m not in policies]
        revoked = await revoke_others(leased, place.namespace, None)
        deleted = await _delete(leased, rights) + await _delete(leased, policies)
        cleaned = await take_off(leased, (await find_marked(leased)).free)
        deleted += await _delete(leased, rest)
        say("deleted", f"{how_many(deleted, 'object')} and {how_many(revoked, 'credential')}")
        say("cleaned", how_many(cleaned, "node"))
        await _wait_until_gone(leased, (place.namespace, PROBE_NAMESPACE))
        if secret is not None:
            path = f"/api/v1/namespaces/{place.namespace}/secrets/{place.name}"
            await delete_if_there(pair.hub, path, secret["metadata"]["uid"])
            say("deleted", f"Secret {place.namespace}/{place.name} on the hub")


async def _check(pair: Pair, place: Place) -> dict[str, Any] | None:
    """Raise Problem if the cluster is still needed or isn't the one that is meant; return its Secret on the hub."""
    check_owner(await read_install(pair.leased), place, pair.hub_uid)
    secret = None if place.in_cluster else await require_secret_fits(pair, place)
    if using := await leases_of(pair, place):
        raise Problem(
            f"GpuLease {some(using)} still needs this cluster: delete it first and wait until it is gone "
            f"(kubectl delete gpulease {' '.join(using)})"
        )
    if held := (await find_marked(pair.leased)).held:
        raise Problem(
            f"claims hold {some(held)}: delete the claims first, or wait until they are released"
        )
    if homes := await _claim_namespaces(pair.leased):
        raise Problem(
            f"namespaces of claims are still there ({some(homes)}): delete the claims first, or what is left of them"
        )
    return secret


async def _claim_namespaces(leased: Cluster) -> list[str]:
    found = await leased.get("/api/v1/namespaces", labelSelector="sublet.dev/claim")
    names = [item["metadata"]["name"] for item in found["items"]]
    return [name for name in names if name != PROBE_NAMESPACE]


async def _delete(leased: Cluster, manifests: list[Manifest]) -> int:
    """Delete what onboarding made, last made first; return how many objects that were."""
    count = 0
    for manifest in reversed(manifests):
        live = await read_or_none(leased, path_of(manifest))
        if live is None:
            continue
        if is_ours(live):
            count += await delete_if_there(leased, path_of(manifest), live["metadata"]["uid"])
        else:
            say(
                "kept",
                f"{manifest['kind']} {manifest['metadata']['name']}: onboarding didn't make it",
            )
    return count


async def _wait_until_gone(leased: Cluster, names: tuple[str, ...]) -> None:
    """Wait until namespaces that are going away are gone, so that onboarding may follow at once."""
    deadline = time.monotonic() + _GONE_SECONDS
    for name in names:
        path = f"/api/v1/namespaces/{name}"
        while (live := await read_or_none(leased, path)) and live["metadata"].get(
            "deletionTimestamp"
        ):
            if time.monotonic() > deadline:
                say("leaving", f"namespace {name} is still going away; see its status")
                break
            await asyncio.sleep(_WAIT_SECONDS)
