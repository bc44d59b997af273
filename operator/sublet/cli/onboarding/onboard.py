"""`sublet onboard`: prepares a leased cluster, step by step; every step may be repeated.

Everything that could forbid it is looked at before anything is changed. The hub gets the new credential before
isolation is proven: doctor and the operator need it to say what is wrong.
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sublet.api.wording import how_many
from sublet.cli.connect import connect
from sublet.cli.onboarding import apply as applying, daemons
from sublet.cli.onboarding.cluster import isolation_finding, version_finding
from sublet.cli.onboarding.corefile import dns_finding
from sublet.cli.onboarding.credential import (
    ask_token,
    holds,
    hub_secret,
    kubeconfig,
    revoke_others,
    take_token,
    token_secrets,
)
from sublet.cli.onboarding.findings import Finding, Level, say, show_or_stop
from sublet.cli.onboarding.hub_side import require_namespace, require_secret_fits
from sublet.cli.onboarding.lease_draft import draft
from sublet.cli.onboarding.marks import (
    Install,
    check_owner,
    is_ours,
    marked,
    read_install,
    signed,
)
from sublet.cli.onboarding.network import network_finding
from sublet.cli.onboarding.nodes import gpu_nodes, hardware_findings
from sublet.cli.onboarding.options import Allowed, leased_options, missing_namespaces
from sublet.cli.onboarding.place import Pair, Place, both
from sublet.cli.onboarding.reach import address_findings
from sublet.cli.onboarding.takeover import WAIT_SECONDS, wait_until_used
from sublet.cli.problems import Problem
from sublet.fleet.isolation import PROBE_NAMESPACE
from sublet.kube.errors import Forbidden
from sublet.kube.session import ApiServer
from sublet.kube.wire import Node
from sublet.manifests.render import LeasedOptions, Manifest, leased_cluster, to_yaml

_TRIES: Final = 40
_WAIT_SECONDS: Final = 0.25


@dataclass(frozen=True, slots=True)
class Order:
    """What the person asked for."""

    place: Place
    allowed: Allowed
    rotate: bool = False
    take_over: bool = False
    wait_seconds: int = WAIT_SECONDS
    """For the operator to take a new credential up."""


async def print_manifests(order: Order) -> None:
    """Print everything for a leased cluster as YAML, for GitOps; nothing is changed."""
    async with connect(order.place.context, order.place.title) as leased:
        found = await read_install(leased)
        allowed = order.allowed.over(found.options if found else None)
        options = await leased_options(leased, allowed, order.place)
        manifests = [
            await applying.with_digest(leased, each) for each in _manifests(options, allowed, "")
        ]
    print(to_yaml(manifests), end="")


async def onboard(order: Order) -> None:
    """Prepare a leased cluster and print a lease to edit."""
    place = order.place
    async with both(place) as pair:
        found = await _check(order, pair)
        allowed = order.allowed.over(found.options if found else None)
        options = await leased_options(pair.leased, allowed, place)
        nodes = await gpu_nodes(pair.leased)
        show_or_stop(await _findings(pair, place, options, nodes))
        token = await _install(order, pair, _manifests(options, allowed, pair.hub_uid))
        if not place.in_cluster:
            await _hand_over(order, pair, token)
        show_or_stop([await _proof(pair.leased, token)])
    print("\nEdit the words that begin with EDIT and apply this to the hub:\n")
    print(draft(place, nodes, datetime.now(UTC)), end="")


async def _check(order: Order, pair: Pair) -> Install | None:
    """Raise Problem if the order can't be right; return what was onboarded before."""
    place = order.place
    await require_namespace(pair.hub, place.namespace)
    found = await read_install(pair.leased)
    check_owner(found, place, pair.hub_uid, take_over=order.take_over)
    if not place.in_cluster:
        await require_secret_fits(pair, place)
    for name in (place.namespace, PROBE_NAMESPACE):
        there = await applying.read_or_none(pair.leased, f"/api/v1/namespaces/{name}")
        if there is not None and there["metadata"].get("deletionTimestamp"):
            raise Problem(f"namespace {name} is still going away; run it again in a moment")
    return found


async def _findings(
    pair: Pair, place: Place, options: LeasedOptions, nodes: list[Node]
) -> list[Finding]:
    reach: list[Finding] = []
    if not place.in_cluster:
        reach += address_findings(kubeconfig(pair.leased, "probe"), pair.hub.endpoint.server)
    daemon_sets = await daemons.daemon_sets(pair.leased)
    return [
        version_finding(options.kubernetes_minor),
        *reach,
        *hardware_findings(nodes),
        *daemons.daemon_findings(daemon_sets, options.system_namespaces),
        *await missing_namespaces(pair.leased, options.system_namespaces),
        network_finding(daemon_sets),
        await dns_finding(pair.leased),
    ]


def _manifests(options: LeasedOptions, allowed: Allowed, hub_uid: str) -> list[Manifest]:
    return [
        signed(marked(each), hub_uid=hub_uid, options=allowed.as_data())
        for each in leased_cluster(options)
    ]


async def _install(order: Order, pair: Pair, manifests: list[Manifest]) -> str:
    """Bring the manifests in and return the operator's token."""
    leased, place = pair.leased, order.place
    probe = next(m for m in manifests if m["metadata"]["name"] == PROBE_NAMESPACE)
    others = [m for m in manifests if m is not probe and not await _has_owner(leased, m)]
    changed = await applying.apply_all(leased, others)
    if place.in_cluster:
        token = await ask_token(leased, place.namespace, place.account)
    else:
        # whoever was onboarded before must not keep a way in
        rotate = order.rotate or order.take_over
        token = await take_token(leased, place.namespace, rotate=rotate)
    changed += await _make_probe_namespace(leased, token, probe)
    say("applied", f"{len(manifests)} objects, {changed} of them changed")
    return token


async def _has_owner(leased: ApiServer, manifest: Manifest) -> bool:
    """Say whether it is there and stays its owner's, such as the chart's account: offboarding would delete what we marked."""
    if manifest["kind"] not in ("Namespace", "ServiceAccount"):
        return False
    live = await applying.read_or_none(leased, applying.path_of(manifest))
    return live is not None and (manifest["kind"] == "Namespace" or not is_ours(live))


async def _hand_over(order: Order, pair: Pair, token: str) -> None:
    """Write the credential to the hub; older ones die when the operator has taken it up.

    Those of a hub that is gone die at once: whoever was onboarded before must not keep a way in.
    """
    place = order.place
    text = kubeconfig(pair.leased, token)
    secret = hub_secret(place.name, place.namespace, text, pair.leased_uid)
    written = await pair.hub.apply(applying.path_of(secret), secret)
    say("written", f"Secret {place.namespace}/{place.name} on the hub")
    others = [s for s in await token_secrets(pair.leased, place.namespace) if not holds(s, token)]
    if others and not order.take_over:
        version = written["metadata"]["resourceVersion"]
        await wait_until_used(pair, place, version, order.wait_seconds)
    await _require_still_ours(pair, secret)
    if revoked := await revoke_others(pair.leased, place.namespace, token):
        say("revoked", how_many(revoked, "older credential"))


async def _require_still_ours(pair: Pair, secret: Manifest) -> None:
    """Raise Problem if the hub has another credential by now: what is to be revoked may be the one in use."""
    found = await applying.read_or_none(pair.hub, applying.path_of(secret))
    if found is None or (found.get("data") or {}).get("kubeconfig") != secret["data"]["kubeconfig"]:
        meta = secret["metadata"]
        raise Problem(
            f"Secret {meta['namespace']}/{meta['name']} on the hub was changed meanwhile, so no credential was revoked; "
            "is somebody else onboarding? Run it again without --rotate"
        )


async def _make_probe_namespace(leased: ApiServer, token: str, probe: Manifest) -> bool:
    """Make it as the operator: once the policies act, nobody else makes a claim namespace, admin or not."""
    if await applying.read_or_none(leased, applying.path_of(probe)) is not None:
        return False
    async with leased.with_token(token) as operator:
        for attempt in range(_TRIES):
            try:
                await operator.create("/api/v1/namespaces", probe)
            except Forbidden:  # new rights take a moment to act
                if attempt == _TRIES - 1:
                    raise
                await asyncio.sleep(_WAIT_SECONDS)
            else:
                break
    return True


async def _proof(leased: ApiServer, token: str) -> Finding:
    """Prove isolation with the operator's own token; new policies need up to a second to act."""
    async with leased.with_token(token) as operator:
        for _ in range(_TRIES):
            finding = await isolation_finding(operator)
            if finding.level is not Level.ERROR:
                break
            await asyncio.sleep(_WAIT_SECONDS)
    return finding
