"""A claim's Secret in Argo CD's namespace is a cluster of Argo CD's, and stays a kubeconfig; elsewhere it is that alone."""

import base64
import json
from typing import Any, cast

import pytest
import yaml

from sublet.api.names import KUBECONFIG_TYPE
from sublet.api.times import Millis
from sublet.binder.access import Grant, write_secret
from sublet.kube.session import ApiServer, Endpoint
from tests.builders.api import as_claim, claim, uid_of

NOW, HOUR = Millis(1_700_000_000_000), 3_600_000
CA = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"


class Hub:
    """A hub that takes a Secret and shows it."""

    def __init__(self) -> None:
        self.secret: dict[str, Any] = {}

    async def create(self, _: str, secret: dict[str, Any]) -> dict[str, Any]:
        self.secret = secret
        return {"metadata": {"resourceVersion": "1"}}

    def data(self) -> dict[str, str]:
        return {k: base64.b64decode(v).decode() for k, v in self.secret["data"].items()}


def grant(alias: str, endpoint: Endpoint | None = None) -> Grant:
    where = endpoint or Endpoint(f"https://{alias}.example.com:6443", ca_pem=CA)
    end = Millis(NOW + HOUR)
    return Grant(alias, f"sublet-{alias}-1", where, f"token-{alias}", NOW, end, HOUR)


async def written(*grants: Grant, argocd: str = "argocd", namespace: str = "argocd") -> Hub:
    """Return the hub after the Secret of a claim was written."""
    hub = Hub()
    await write_secret(cast("ApiServer", hub), as_claim(claim("train", namespace)), grants, argocd)
    return hub


async def test_argo_cd_reads_a_cluster_of_one_namespace():
    hub = await written(grant("west"))
    uid, data = uid_of("GpuClaim/argocd/train"), hub.data()

    assert hub.secret["metadata"]["labels"] == {
        "argocd.argoproj.io/secret-type": "cluster",
        "sublet.dev/claim": uid,
    }
    assert hub.secret["metadata"]["annotations"] == {"sublet.dev/namespace": "sublet-west-1"}
    assert (data["name"], data["namespaces"], data["clusterResources"]) == ("sublet-train", "sublet-west-1", "false")  # fmt: skip
    assert data["server"] == f"https://west.example.com:6443?claim={uid}"
    assert json.loads(data["config"]) == {
        "bearerToken": "token-west",
        "tlsClientConfig": {"insecure": False, "caData": base64.b64encode(CA.encode()).decode()},
    }


async def test_it_stays_a_kubeconfig_that_the_fence_lets_pass():
    hub = await written(grant("west"))

    assert hub.secret["type"] == KUBECONFIG_TYPE
    assert [o["kind"] for o in hub.secret["metadata"]["ownerReferences"]] == ["GpuClaim"]
    assert yaml.safe_load(hub.data()["value"])["current-context"] == "west"


@pytest.mark.parametrize(("argocd", "namespace"), [("", "argocd"), ("argocd", "acme"), ("", "")])
async def test_elsewhere_nothing_of_argo_cd_is_in_it(argocd: str, namespace: str):
    hub = await written(grant("west"), argocd=argocd, namespace=namespace)

    assert set(hub.secret["data"]) == {"value"}
    assert "labels" not in hub.secret["metadata"]


async def test_a_claim_that_spans_clusters_is_always_the_same_one_of_them():
    """Whichever token was renewed first, and so for the current context, which Flux follows."""
    for grants in ([grant("west"), grant("east")], [grant("east"), grant("west")]):
        hub = await written(*grants)

        assert hub.data()["server"].startswith("https://east.example.com:6443?")
        assert yaml.safe_load(hub.data()["value"])["current-context"] == "east"


async def test_a_server_with_another_name_and_a_public_ca_is_told_as_it_is():
    hub = await written(grant("west", Endpoint("https://10.0.0.1/k8s/x", tls_server_name="west")))

    assert hub.data()["server"].startswith("https://10.0.0.1/k8s/x?claim=")
    tls = json.loads(hub.data()["config"])["tlsClientConfig"]
    assert tls == {"insecure": False, "serverName": "west"}


async def test_two_claims_in_one_cluster_are_two_clusters_to_argo_cd():
    """It knows clusters by their URL alone."""
    hub = Hub()
    servers = set()
    for name in ("train", "infer"):
        await write_secret(
            cast("ApiServer", hub), as_claim(claim(name, "argocd")), [grant("west")], "argocd"
        )
        servers.add(hub.data()["server"])

    assert len(servers) == 2
