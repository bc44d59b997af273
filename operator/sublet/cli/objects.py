"""Objects of the hub as commands read them: one claim in the namespace that the person means, or all of a kind."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sublet.api.kinds import CLAIMS, Kind
from sublet.cli.connect import Cluster, checked_name, connect, run
from sublet.cli.contexts import find_context
from sublet.cli.problems import Problem, describe, note
from sublet.kube.errors import KubeError
from sublet.kube.hub_lists import objects
from sublet.kube.lists import object_of

if TYPE_CHECKING:  # whoever asks for models has loaded them; the others do without
    from sublet.api.gpuclaim import GpuClaim
    from sublet.api.gpuclass import GpuClass
    from sublet.api.gpulease import GpuLease

PAGE_SIZE: Final = 150
"""Objects of one answer: so many of the largest fit into one, and whoever is far from the hub waits for few."""
M = TypeVar("M", "GpuClaim", "GpuClass", "GpuLease")


def with_claim(
    work: Callable[[Cluster, dict[str, Any]], Awaitable[None]],
    name: str,
    namespace: str | None,
    context: str | None,
) -> None:
    """Run a command on one claim, in the namespace that the person means."""

    async def session() -> None:
        meant = meant_namespace(namespace, context)
        path = CLAIMS.path(meant, checked_name(name, what="claim"))
        async with connect(context) as hub:
            try:
                raw = await read_raw(hub, path)
            except KubeError as error:
                raise Problem(describe(error, what=f"claim {meant}/{name}")) from error
            await work(hub, raw)

    run(session, what=f"claim {name}")


def meant_namespace(namespace: str | None, context: str | None) -> str:
    """Return the namespace that was given, else the context's."""
    found = None if namespace else find_context(context)
    meant = namespace or (found.namespace if found else "default")
    return checked_name(meant, what="namespace", label=True)


async def list_all(hub: Cluster, kind: Kind, model: type[M]) -> list[M]:
    """Read all objects of a kind, sorted by key; one that can't be read is named and left out."""
    found: list[M] = []
    for item in await list_raw(hub, kind.path()):
        try:
            found.append(model.model_validate(item))
        except ValueError as fault:  # of the model
            name = "/".join(part for part in by_key(item) if part)
            note(describe(fault, what=f"{kind.name} {name} is left out"))
    return sorted(found, key=lambda each: str(each.metadata.key))


async def list_raw(hub: Cluster, path: str) -> list[dict[str, Any]]:
    """Read a collection in pages: how large their objects are is up to tenants, and one answer is bounded."""
    found = objects(hub, path, limit=PAGE_SIZE)
    return [object_of(each, f"an item of {path}") async for each in found]


async def read_raw(hub: Cluster, path: str) -> dict[str, Any]:
    """Read one object."""
    return object_of(await hub.get(path), path)


def bare(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object without the bookkeeping of the API server."""
    meta = {k: v for k, v in item["metadata"].items() if k != "managedFields"}
    return {**item, "metadata": meta}


def by_key(item: Mapping[str, Any]) -> tuple[str, str]:
    """Return what objects are sorted by: namespace, name."""
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]
