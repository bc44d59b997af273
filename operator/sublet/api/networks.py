"""Networks that a lease denies to its tenants' pods. Pure.

A text that is none would be denied to nobody, so an API server refuses it, by a pattern: the oldest hub that Sublet knows
has no CEL for networks.
"""

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

_BYTE: Final = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_V4: Final = f"{_BYTE}([.]{_BYTE}){{3}}/(3[0-2]|[12]?[0-9])"
_GROUP: Final = "[0-9a-fA-F]{1,4}"
_V6: Final = "|".join(
    (
        f"({_GROUP}:){{7}}{_GROUP}",
        f"({_GROUP}:){{1,7}}:",
        # `::` stands for at least one group
        *(f"({_GROUP}:){{1,{n}}}(:{_GROUP}){{1,{7 - n}}}" for n in range(1, 7)),
        f":((:{_GROUP}){{1,7}}|:)",
    )
)
NETWORK: Final = f"^({_V4}|({_V6})/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))$"
"""An address and how many of its bits count."""


def network_of(text: str) -> IPv4Network | IPv6Network | None:
    """Return a network, or a single address as one; None if it is none, or IPv4 written as IPv6, which no policy takes."""
    try:
        found = ip_network(text, strict=False)
    except ValueError:
        return None
    if isinstance(found, IPv6Network) and found.network_address.ipv4_mapped is not None:
        return None
    return found
