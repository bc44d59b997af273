"""Kubeconfigs that hold everything themselves: a server, its CA, and a token or a certificate.

Most do, and the library that can read the others takes a quarter of a second to load, for each command. Read by the
allow-list that leased clusters' kubeconfigs go through; what isn't on it (programs, files, proxies) is the library's.
"""

import json

from sublet.cli.contexts import config_of
from sublet.fleet.kubeconfig import KubeconfigRefused, parse_kubeconfig
from sublet.kube.session import Endpoint


def plain_endpoint(context: str) -> Endpoint | None:
    """Return where a context leads; None if the library has to read it, or to say what is wrong with it."""
    try:
        data = json.dumps(config_of(context), ensure_ascii=False).encode()
        return parse_kubeconfig(data, allow_local=True, hub_servers=())
    except (KubeconfigRefused, TypeError, ValueError):
        return None
