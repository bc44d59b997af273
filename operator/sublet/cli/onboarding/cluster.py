"""What can be seen of a cluster as a whole: how old it is, and whether isolation acts."""

import re
from typing import Annotated, Final

import msgspec

from sublet.cli.onboarding.findings import Finding, error, ok, warning
from sublet.fleet.isolation import prove_isolation
from sublet.kube.session import ApiServer

OLDEST_MINOR: Final = 30
"""ValidatingAdmissionPolicy is GA since Kubernetes 1.30."""
_ORDERED_MINOR: Final = 33
"""A namespace's pods are deleted before all else in it since Kubernetes 1.33."""


class _Version(msgspec.Struct):
    """What a server says that it is; some write 31+."""

    minor: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,4}([^0-9]|$)")]


async def minor_version(api: ApiServer) -> int:
    """Return the API server's minor version; BadAnswer if it doesn't say."""
    minor = (await api.get_as("/version", _Version)).minor
    return int(re.split("[^0-9]", minor, maxsplit=1)[0])


def version_finding(minor: int) -> Finding:
    """Say whether a cluster is young enough, and what it lacks if it only just is."""
    if minor < OLDEST_MINOR:
        return error(
            f"Kubernetes 1.{minor} is too old: ValidatingAdmissionPolicy needs 1.{OLDEST_MINOR}"
        )
    if minor < _ORDERED_MINOR:
        return warning(
            f"Kubernetes 1.{minor}: when a claim's namespace ends, its NetworkPolicy may go before its pods (CVE-2024-7598), unless "
            f"the landlord has set the feature gate OrderedNamespaceDeletion; 1.{_ORDERED_MINOR} keeps the order"
        )
    return ok(f"Kubernetes 1.{minor}")


async def isolation_finding(operator: ApiServer) -> Finding:
    """Prove isolation as the operator does; `operator` speaks with the operator's own credential."""
    proof = await prove_isolation(operator)
    if proof.fault:
        return error(proof.fault)
    return warning(proof.caveat) if proof.caveat else ok("isolation is live: the policies act")
