"""`sublet doctor`: looks at leased clusters with the operator's own credentials and says what to mend.

What the operator can't do with its narrow rights can't be seen here either; that is the point. One cluster's trouble
never hides another's.
"""

import base64
from collections.abc import AsyncIterator
from typing import Any

from pydantic import ValidationError

from sublet.api.common import find_condition, is_true
from sublet.api.gpulease import GpuLease
from sublet.api.kinds import LEASES
from sublet.api.reading import fault_of
from sublet.cli.connect import LIMITS, Cluster, connect
from sublet.cli.objects import list_raw, read_raw
from sublet.cli.onboarding import daemons
from sublet.cli.onboarding.apply import read_or_none
from sublet.cli.onboarding.cluster import isolation_finding, minor_version, version_finding
from sublet.cli.onboarding.corefile import dns_finding
from sublet.cli.onboarding.credential import ask_token
from sublet.cli.onboarding.findings import Finding, error, ok, show, warning
from sublet.cli.onboarding.network import network_finding
from sublet.cli.onboarding.nodes import counted_findings, gpu_nodes, lease_findings
from sublet.cli.onboarding.reach import LOCAL, is_local, read_endpoint
from sublet.cli.problems import Problem, describe, unexpected
from sublet.fleet.access import find_excess
from sublet.fleet.credential import CREDENTIALS_LABEL, HUB_ACCOUNT
from sublet.fleet.kubeconfig import KubeconfigRefused
from sublet.fleet.pin import pin_fault
from sublet.kube.errors import Forbidden, KubeError, NotFound, Unauthorized
from sublet.kube.identity import read_cluster_uid
from sublet.kube.session import ApiServer, Endpoint


async def diagnose_all(name: str | None, *, hub_context: str | None, namespace: str) -> bool:
    """Check one lease or all; print what was found; return whether nothing must be mended."""
    async with connect(hub_context, "the hub", "--hub-context") as hub:
        if name is not None:
            items = [await read_raw(hub, LEASES.path(name=name))]
        else:
            items = await list_raw(hub, LEASES.path())
        if not items:
            raise Problem("the hub has no GpuLease yet; `sublet onboard` prints one to edit")
        hub_uid = await read_cluster_uid(hub)
        good = True
        for item in items:
            print(f"lease {item['metadata']['name']}")
            try:
                lease = GpuLease.model_validate(item)
            except ValidationError as fault:
                good = show([error(f"this version of sublet can't read it: {fault_of(fault)}")])
                continue
            async for finding in _diagnose(hub, lease, namespace=namespace, hub_uid=hub_uid):
                good = show([finding]) and good
    return good


async def _diagnose(
    hub: Cluster, lease: GpuLease, *, namespace: str, hub_uid: str
) -> AsyncIterator[Finding]:
    """Yield findings from the credential to the nodes, and what the operator says; one's error hides the rest of its own."""
    try:
        async for finding in _reach(hub, lease, namespace, hub_uid):
            yield finding
    except Exception as fault:  # noqa: BLE001  whatever a landlord's words make of our code is that lease's alone
        yield error(unexpected(fault, what=f"lease {lease.metadata.name}"))
    for counted in counted_findings(lease):
        yield counted
    yield _operators_word(lease)


async def _reach(
    hub: Cluster, lease: GpuLease, namespace: str, hub_uid: str
) -> AsyncIterator[Finding]:
    """Yield what is seen from the credential on, or why nothing is."""
    try:
        found = await credential_of(hub, lease, namespace)
    except (KubeError, OSError) as trouble:  # what this person may not do, or the hub can't
        found = error(f"no credential: {describe(trouble, what='the hub')}")
    if isinstance(found, Finding):
        yield found
    else:
        try:
            async with ApiServer(found, LIMITS) as leased:
                async for finding in _look(leased, lease, hub_uid):
                    yield finding
        except Unauthorized:
            yield error(
                "the cluster doesn't accept the operator's credential; run `sublet onboard --rotate`"
            )
        except Forbidden as refusal:
            yield error(
                f"the operator lacks a right ({refusal.message}); run `sublet onboard` for this cluster again"
            )
        except NotFound as refusal:
            yield error(
                f"the cluster doesn't know what it is asked for ({refusal.message}): is {found.server} its address? run "
                "`sublet onboard` for this cluster again"
            )
        except (KubeError, OSError) as trouble:
            trouble.add_note("the cluster")
            yield error(describe(trouble, what=found.server))


async def _look(leased: ApiServer, lease: GpuLease, hub_uid: str) -> AsyncIterator[Finding]:
    """Yield what a cluster that answers shows."""
    uid = await read_cluster_uid(leased)
    if uid == hub_uid and lease.spec.cluster_ref.in_cluster is None:
        yield error("the kubeconfig leads to the hub itself; a lease needs a cluster of its own")
        return
    if fault := pin_fault(lease, uid):
        yield error(fault)
        return
    if is_local(leased.endpoint) and not is_true(lease.status.conditions, "CredentialsValid"):
        yield warning(LOCAL)
    yield version_finding(await minor_version(leased))
    yield await isolation_finding(leased)
    if excess := await find_excess(leased, lease.spec.tenant_access):
        yield error(excess)
    pods = await daemons.running_pods(leased)
    nodes = await gpu_nodes(leased, lease.spec.node_selector)
    for finding in lease_findings(nodes, lease, daemons.foreign_nodes(pods)):
        yield finding
    open_to = await daemons.open_namespaces(leased)
    daemon_sets = daemons.daemon_sets_of(pods)
    for finding in daemons.daemon_findings(daemon_sets, open_to):
        yield finding
    yield network_finding(daemon_sets)
    yield await dns_finding(leased)


async def credential_of(hub: Cluster, lease: GpuLease, namespace: str) -> Endpoint | Finding:
    """Return where the operator goes and as whom, or why it can't."""
    ref = lease.spec.cluster_ref.kubeconfig_secret_ref
    if ref is None:
        return await _own_credential(hub, namespace)
    where = f"Secret {namespace}/{ref.name}"
    again = f"run `sublet onboard --name {ref.name}` for this cluster"
    secret: dict[str, Any] | None = await read_or_none(
        hub, f"/api/v1/namespaces/{namespace}/secrets/{ref.name}"
    )
    if secret is None:
        return error(f"{where} isn't on the hub; {again}")
    if CREDENTIALS_LABEL not in (secret["metadata"].get("labels") or {}):
        return error(f"{where} lacks the label {CREDENTIALS_LABEL}; {again}")
    data: dict[str, str] = secret.get("data") or {}
    if ref.key not in data:
        return error(f"{where} has no key {ref.key}; {again}")
    try:
        return read_endpoint(base64.b64decode(data[ref.key]))
    except KubeconfigRefused as refusal:
        return error(f"{where}: the operator refuses the kubeconfig: {refusal}; {again}")


async def _own_credential(hub: Cluster, namespace: str) -> Endpoint | Finding:
    """Return the hub under the operator's second identity there."""
    try:
        token = await ask_token(hub, namespace, HUB_ACCOUNT)
    except NotFound:
        return error(
            f"there is no ServiceAccount {namespace}/{HUB_ACCOUNT}; run `sublet onboard --in-cluster`"
        )
    return hub.with_token(token).endpoint


def _operators_word(lease: GpuLease) -> Finding:
    """Return what the operator itself said last of the lease."""
    ready = find_condition(lease.status.conditions, "Ready")
    if ready is None:
        return warning("the operator hasn't looked at this lease yet; is it running?")
    text = f"the operator says: {ready.reason}: {ready.message}"
    return ok(text) if ready.status == "True" else warning(text)
