"""What a scrape is told of the operator's memory."""

import base64
import json
from types import SimpleNamespace
from typing import Any

import pytest

from sublet.api.ids import LeaseUID
from sublet.api.times import MS_PER_SECOND, Millis
from sublet.fleet.facts import LeaseFacts
from sublet.hub.observed import Memory
from sublet.kube.session import Endpoint
from tests.builders.api import NOW, as_lease, lease

ENDS = Millis(NOW + 3_600 * MS_PER_SECOND)


def token() -> str:
    """Return a token that ends in an hour."""
    claims = json.dumps({"exp": ENDS // MS_PER_SECOND}).encode()
    return f"e30.{base64.urlsafe_b64encode(claims).decode()}.sig"


@pytest.mark.parametrize(
    ("reference", "ends"),
    [({"kubeconfigSecretRef": {"name": "west"}}, ENDS), ({"inCluster": {}}, None)],
    ids=["a kubeconfig's", "the operator's own"],
)
def test_only_a_credential_that_somebody_gave_has_an_end_to_be_told(
    reference: dict[str, Any], ends: Millis | None
):
    west = as_lease(lease("west", clusterRef=reference))
    connection = SimpleNamespace(
        lease=west,
        facts=LeaseFacts(),
        stale_seconds=0.0,
        seen_ms=None,
        api=SimpleNamespace(endpoint=Endpoint("https://x", token=token)),
    )
    nothing: Any = None
    fleet: Any = SimpleNamespace(connection=lambda _: connection)
    memory = Memory(nothing, fleet, nothing, lambda: True, lambda: None)

    assert memory.cluster(LeaseUID(west.metadata.uid)).credentials_expire_ms == ends
