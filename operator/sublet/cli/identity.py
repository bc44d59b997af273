"""Who the person is to the hub: what goes into an object as the name of who gave their word."""

from typing import Final

from sublet.cli.connect import Cluster

_WHO_AM_I: Final = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


async def own_name(hub: Cluster) -> str:
    """Return what the hub calls the person."""
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    answer = await hub.create(_WHO_AM_I, review)
    return str(answer["status"]["userInfo"].get("username", ""))
