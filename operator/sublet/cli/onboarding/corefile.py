"""Whether a leased cluster's DNS tells tenants what others call their Services, as far as that can be seen.

Claims' pods reach the DNS in kube-system, and CoreDNS as it is usually set up says of every address of a Service whose it is. Onboarding
reads its Corefile as the cluster's admin; doctor has the operator's rights, to which that doesn't belong, and says unknown.
"""

import re
from typing import Final

import msgspec

from sublet.cli.onboarding.findings import Finding, ok, unknown, warning
from sublet.kube.errors import Forbidden, NotFound
from sublet.kube.session import ApiServer

_PATH: Final = "/api/v1/namespaces/kube-system/configmaps/coredns"
_REVERSE: Final = re.compile(r"(.*\.)?arpa\.?(:[0-9]+)?|.*/[0-9]+(:[0-9]+)?")
"""A zone of addresses: by name, or as a network."""


class _Data(msgspec.Struct, rename={"corefile": "Corefile"}):
    corefile: str = ""


class _ConfigMap(msgspec.Struct):
    data: _Data = msgspec.field(default_factory=_Data)


async def dns_finding(api: ApiServer) -> Finding:
    """Say whether tenants can list the names of all Services."""
    try:
        zones = zones_of((await api.get_as(_PATH, _ConfigMap)).data.corefile)
    except (Forbidden, NotFound):
        zones = []
    if any(_REVERSE.fullmatch(zone) for zone in zones):
        return warning(
            "the DNS in kube-system answers reverse lookups of Services, so tenants can list the names of each other's Services and "
            "namespaces: ask the landlord to take in-addr.arpa and ip6.arpa off the kubernetes line of its Corefile"
        )
    if zones:
        return ok("the DNS in kube-system answers no reverse lookups of Services")
    return unknown(
        "whether the DNS in kube-system tells tenants the names of each other's Services: its Corefile wasn't seen; ask the landlord"
    )


def zones_of(corefile: str) -> list[str]:
    """Return the zones in which Services are looked up; without any of its own the plugin has those of its server."""
    zones: list[str] = []
    server: list[str] = []
    depth = 0
    for line in corefile.splitlines():
        words = line.split("#")[0].split()
        if depth == 0:
            server = [w for w in words if w != "{"]
        if words[:1] == ["kubernetes"]:
            zones += [w for w in words[1:] if w != "{"] or server
        depth += words.count("{") - words.count("}")
    return zones
