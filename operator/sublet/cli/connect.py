"""How a command reaches a cluster, with the user's own kubeconfig and rights, and how it ends when it can't."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import yaml

from sublet.api.names import DNS_LABEL, DNS_NAME
from sublet.cli.contexts import Context, find_context
from sublet.cli.plain import plain_endpoint
from sublet.cli.problems import Problem, describe, fail, unexpected
from sublet.cli.standard_output import Unwritten
from sublet.kube.errors import KubeError
from sublet.kube.session import ApiServer, Endpoint, Limits

_BROKEN: Final = "no usable kubeconfig: "
_ENTRY: Final = re.compile(r"/\{.*\}", re.DOTALL)
LIMITS: Final = Limits(request_seconds=20.0)
"""A person waits for the answer."""


class Cluster(ApiServer):
    """An API server that the user knows by a name and chose by an option; its errors carry both as notes."""

    def __init__(self, endpoint: Endpoint, title: str, option: str = "--context") -> None:
        super().__init__(endpoint, LIMITS)
        self.title = title
        self.option = option

    async def request(self, method: str, path: str, **options: Any) -> bytes:
        """Send one request; see `ApiServer.request`."""
        try:
            return await super().request(method, path, **options)
        except KubeError as error:
            error.add_note(self.title)
            error.add_note(self.option)
            raise


@asynccontextmanager
async def connect(
    context: str | None, title: str = "the hub", option: str = "--context"
) -> AsyncIterator[Cluster]:
    """Yield the cluster of a context, of the current one if none is given."""
    found = find_context(context, option)
    mend = f"set KUBECONFIG or {option}"
    try:
        endpoint = (plain_endpoint(found.name) if found else None) or await _read(found, mend)
    except (
        Exception
    ) as error:  # the loader raises whatever a broken kubeconfig makes it stumble over
        # the loader names an entry by its whole content, credentials included
        said = _ENTRY.sub("", str(error)).removeprefix(_BROKEN).removesuffix(f"; {mend}")
        raise Problem(f"{_BROKEN}{said}; {mend}") from error
    async with Cluster(endpoint, title, option) as cluster:
        yield cluster


async def _read(context: Context | None, mend: str) -> Endpoint:
    """Read a kubeconfig of any kind, or the pod's own account."""
    from sublet.kube.hub import hub_endpoint  # noqa: PLC0415  it takes a quarter of a second, and few need it

    return await hub_endpoint(context=context.name if context else None, mend=mend)


def run(work: Callable[[], Awaitable[None]], *, what: str, status: int = 1) -> None:
    """Run a command; each failure becomes one line on standard error and an exit status."""

    async def all_of_it() -> None:
        await work()

    try:
        asyncio.run(all_of_it())
    except Problem as problem:
        fail(str(problem), status=status)
    except Unwritten:
        raise  # it is no fault of what was asked
    except (KubeError, OSError, ValueError, yaml.YAMLError) as error:
        fail(describe(error, what=what), status=status)
    except Exception as error:  # noqa: BLE001  the last net: a mistake of ours is one line, too
        fail(unexpected(error, what=what), status=status)


def checked_name(name: str, *, what: str, label: bool = False) -> str:
    """Return a name that can stand in a URL; Problem if no such object can be called so."""
    if not can_be_name(name, label=label):
        raise Problem(f"{name!r} can't be the name of a {what}")
    return name


def can_be_name(text: str, *, label: bool = False) -> bool:
    """Say whether an object can be called so; `label`: a namespace, say, whose name is shorter and has no dots."""
    pattern, longest = (DNS_LABEL, 63) if label else (DNS_NAME, 253)
    return len(text) <= longest and re.fullmatch(pattern, text) is not None
