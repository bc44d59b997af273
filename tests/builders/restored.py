"""Objects as a restore leaves them on the hub, as JSON."""

from typing import Any

from sublet.api.gpuclaim import GpuClaim
from sublet.api.kinds import CLAIMS
from sublet.api.origin import RESTORED
from sublet.cli.keeping.restore import restored_status
from sublet.crdgen.crd import custom_resource_definition
from tests.builders.api import NOW, uid_of

Body = dict[str, Any]


def on_the_wire(item: Any, kind: str = "GpuClaim") -> Body:
    """Return an object as the API server shows it."""
    body: Body = item.model_dump(mode="json", by_alias=True, exclude_none=True)
    body["metadata"].pop("objectUid", None)
    return {"apiVersion": "sublet.dev/v1alpha1", "kind": kind, **body}


def restored(saved: Body, new: str = "new", version: str = "50") -> Body:
    """Return what a restore makes of a saved object, under a UID of its own."""
    meta = {**saved["metadata"], "uid": uid_of(new), "resourceVersion": version}
    meta["annotations"] = {**meta.get("annotations", {}), RESTORED: saved["metadata"]["uid"]}
    return {**saved, "metadata": meta, "status": restored_status(saved, NOW)}


def newborn(body: Body) -> Body:
    """Return an object to which nobody has written a status yet: the API server shows the CRD's default as one."""
    version = custom_resource_definition(CLAIMS)["spec"]["versions"][0]
    status = version["schema"]["openAPIV3Schema"]["properties"]["status"]
    observed = status["properties"]["observedGeneration"]["default"]
    return {**body, "status": {"observedGeneration": observed, **status["default"]}}


def adopted(body: Body, version: str = "60") -> Body:
    """Return a restored object as adoption leaves it."""
    origin = {**body["status"]["origin"], "adoptedTime": "2026-11-22T11:00:00Z", "adoptedBy": "ann"}
    meta = {**body["metadata"], "resourceVersion": version}
    return {**body, "metadata": meta, "status": {**body["status"], "origin": origin}}


def parsed(body: Body) -> GpuClaim:
    """Return a claim as the operator reads it."""
    return GpuClaim.model_validate(body)
