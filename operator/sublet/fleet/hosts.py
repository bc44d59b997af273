"""How a kubeconfig may write a host: a plain DNS name, or an IP address in the spelling that everybody reads alike. Pure.

Read by the kubeconfig's parser. What one library takes for a name and the next one for an address (full-width digits,
hexadecimal or fewer numbers) would get past both the look at addresses and the resolver's.
"""

import ipaddress
import re
from typing import Final

_LABEL: Final = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_NAME: Final = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_LONGEST_NAME: Final = 253
_NUMBER: Final = re.compile("[0-9]+|0x[0-9a-f]*")
"""No name ends with one; C libraries read such a text as an IPv4 address."""


def fault_of(host: str) -> str:
    """Return what is wrong with how a host is written, and how to write it; empty if nothing is."""
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return _fault_of_name(host)
    if isinstance(ip, ipaddress.IPv4Address):
        return ""
    if ip.ipv4_mapped is not None:
        return "carries an IPv4 address in an IPv6 one; write the IPv4 address alone"
    if ip.scope_id is not None or str(ip) != host.lower():
        return "has an IPv6 address in a form of its own; write its shortest form, without a zone"
    return ""


def _fault_of_name(host: str) -> str:
    # first: some letters of other scripts have an ASCII one as their small letter
    name = host.lower() if host.isascii() else ""
    if len(name) > _LONGEST_NAME or _NAME.fullmatch(name) is None:
        return (
            "has a host that is no DNS name; write it with ASCII letters, digits and hyphens between single dots, and none "
            "at its end (other letters in their xn-- form)"
        )
    if _NUMBER.fullmatch(name.rsplit(".", 1)[-1]):
        return "has a host that ends with a number; write an IPv4 address as four decimal numbers"
    return ""
