"""Which addresses a connection may go to, judged when it is made: the answer of DNS can change at any time.

A kubeconfig's parser sees names and literal addresses only. A name that its owner points at our own loopback or at
the cloud's metadata service is caught here, inside the resolver, so nothing lies between the look and the use.
"""

import asyncio
import errno
import ipaddress
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult

_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")

RefuseAddress = Callable[[str], bool]
"""Says whether an IP address may not be connected to."""


def is_local_address(address: str) -> bool:
    """Say whether an IP address is loopback, link-local, unspecified or multicast: never a landlord's.

    Looks through the forms in which IPv6 carries an IPv4 address. False for a text that is no address.
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        carried = ip.ipv4_mapped or ip.sixtofour
        if carried is None and ip in _NAT64:
            carried = ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
        ip = carried or ip
    return ip.is_loopback or ip.is_link_local or ip.is_unspecified or ip.is_multicast


class VettedResolver(AbstractResolver):
    """Resolves a name and refuses it as a whole if any of its addresses is refused.

    In threads of its own: a name server that never answers keeps one busy for half a minute, and the process has few
    that everybody shares.
    """

    def __init__(self, refuse: RefuseAddress) -> None:
        self._refuse = refuse
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="resolver")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a host; OSError if one of them is refused."""
        look = partial(socket.getaddrinfo, host, port, family=family, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, look)
        addresses = [(kind, str(where[0])) for kind, _, _, _, where in found]
        if any(self._refuse(address) for _, address in addresses):
            raise OSError(errno.EACCES, f"{host} leads to a loopback or link-local address")
        return [
            ResolveResult(
                hostname=host, host=address, port=port, family=kind, proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, address in addresses
        ]  # fmt: skip

    async def close(self) -> None:
        """Let the resolver go, whatever it still waits for."""
        self._threads.shutdown(wait=False, cancel_futures=True)
