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
_REVERSE: Final = re.compile(
    r"(?:[a-z]+://)?(?:(?:.*\.)?arpa\.?|\.?|.*/[0-9]+)(?::[0-9]+)?", re.IGNORECASE
)
"""A zone with addresses in it: by name, as a network, or the root, which has all names; with scheme and port."""
_ELSEWHERE: Final = re.compile(r"^\s*import\s|\{[$%]", re.MULTILINE)
"""What stands for words that the Corefile itself doesn't have: of a file, or of the environment."""


class _Data(msgspec.Struct, rename={"corefile": "Corefile"}):
    corefile: str = ""


class _ConfigMap(msgspec.Struct):
    data: _Data = msgspec.field(default_factory=_Data)


async def dns_finding(api: ApiServer) -> Finding:
    """Say whether tenants can list the names of all Services."""
    try:
        corefile = _bare((await api.get_as(_PATH, _ConfigMap)).data.corefile)
    except (Forbidden, NotFound):
        corefile = ""
    zones = zones_of(corefile)
    if any(_REVERSE.fullmatch(zone) for zone in zones):
        return warning(
            "the DNS in kube-system answers reverse lookups of Services, so tenants can list the names of each other's Services and "
            "namespaces: ask the landlord to take in-addr.arpa and ip6.arpa off the kubernetes line of its Corefile"
        )
    if zones and not _ELSEWHERE.search(corefile):
        return ok("the DNS in kube-system answers no reverse lookups of Services")
    why = "comes from elsewhere in part" if _ELSEWHERE.search(corefile) else "wasn't seen"
    return unknown(
        f"whether the DNS in kube-system tells tenants the names of each other's Services: its Corefile {why}; ask the landlord"
    )


def zones_of(corefile: str) -> list[str]:
    """Return the zones in which Services are looked up; without any of its own the plugin has those of its server."""
    zones: list[str] = []
    server: list[str] = []
    depth = 0
    goes_on = False
    for line in _bare(corefile).splitlines():
        words = line.split()
        names = [name for word in words if word != "{" for name in word.split(",") if name]
        if words[:1] == ["kubernetes"]:
            zones += names[1:] or server
        elif depth == 0 and words and (goes_on or not server):
            server += names
            goes_on = words[-1].endswith(",")
        depth += words.count("{") - words.count("}")
        if depth == 0 and "}" in words:
            server = []
    return zones


def _bare(corefile: str) -> str:
    """Return it without comments and quotes."""
    return "\n".join(line.split("#")[0].replace('"', "") for line in corefile.splitlines())
