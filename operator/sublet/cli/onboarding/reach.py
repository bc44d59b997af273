"""Will the operator accept this kubeconfig? Judged by its own allow-list, before and after it is written."""

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from sublet.cli.onboarding.findings import Finding, error, warning
from sublet.fleet.kubeconfig import KubeconfigRefused, parse_kubeconfig
from sublet.kube.addresses import is_local_address
from sublet.kube.session import Endpoint

LOCAL: Final = (
    "the cluster's address is a loopback or link-local one, which the operator refuses unless it runs with "
    "SUBLET_ALLOW_LOCAL_CLUSTERS=true"
)


def address_findings(kubeconfig: str, hub_server: str) -> Iterator[Finding]:
    """Say what the operator will hold against a kubeconfig."""
    try:
        endpoint = parse_kubeconfig(kubeconfig.encode(), allow_local=True, hub_servers=[hub_server])
    except KubeconfigRefused as refusal:
        yield error(f"the operator won't accept this cluster's kubeconfig: {refusal}")
        return
    if is_local(endpoint):
        yield warning(LOCAL)


def read_endpoint(kubeconfig: bytes) -> Endpoint:
    """Return where a kubeconfig leads; KubeconfigRefused says why the operator won't have it."""
    return parse_kubeconfig(kubeconfig, allow_local=True, hub_servers=())


def is_local(endpoint: Endpoint) -> bool:
    """Say whether an address, as it is written, is one that only development uses."""
    host = urlsplit(endpoint.server).hostname or ""
    return is_local_address(host) or host == "localhost"
