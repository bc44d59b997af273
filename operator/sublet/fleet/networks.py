"""Networks that "the Internet" is none of: private and link-local ones hold nodes, API servers and cloud metadata.

Read by what writes claims' network policies (`sublet.binder.namespace`), and by the fence, which lets the operator write no
others.
"""

from typing import Final

NEVER_V4: Final = (
    "10.0.0.0/8",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "168.63.129.16/32",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.168.0.0/16",
)
"""Two clouds answer for their machines elsewhere: Azure at 168.63.129.16, Oracle at 192.0.0.192."""
NEVER_V6: Final = ("fc00::/7", "fe80::/10")
TRANSLATED_V6: Final = ("2002::/16", "64:ff9b::/96", "64:ff9b:1::/48")
"""Addresses with an IPv4 address inside, which a translator (NAT64, 6to4) leads to: private ones, too."""
NODE_LOCAL_DNS: Final = "169.254.20.10/32"
"""Where NodeLocal DNSCache listens. It is on the host's network, which no selector of pods matches; new GKE clusters have it."""
