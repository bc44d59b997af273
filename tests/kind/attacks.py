"""What a tenant tries with its own kubeconfig on a real cluster, and what must be said to that."""

from collections.abc import Iterator

from tests.kind.clusters import EAST, WEST
from tests.kind.tenant import Tenant, work_pod

LOGIN = "You must be logged in to the server"
"""What kubectl makes of 401."""
_HOST = [{"name": "host", "hostPath": {"path": "/"}}]


def attempts(tenant: Tenant) -> Iterator[tuple[str, str, str]]:
    """Try everything; yield what was tried, what the server said, and what it has to say."""
    pods = {
        "a privileged pod": (
            work_pod("evil", 1, container={"securityContext": {"privileged": True}}),
            "privileged",
        ),
        "a pod with the node's root": (work_pod("evil", 1, volumes=_HOST), "hostPath"),
        "a pod that names its node": (
            work_pod("evil", 1, nodeName=tenant.clusters.node(WEST)),
            "spec.nodeName may not be set",
        ),
        "more GPUs than the claim has": (work_pod("evil", 1), "exceeded quota"),
    }
    for title, (text, words) in pods.items():
        yield title, tenant.refused("create", "-f", "-", given=text), words
    elsewhere = ("create", "-n", "kube-system", "-f", "-")
    yield "a pod in another namespace", tenant.refused(*elsewhere, given=work_pod("evil", 1)), "forbidden"  # fmt: skip
    yield "reading the nodes", tenant.refused("get", "nodes"), "forbidden"
    yield "reading others' secrets", tenant.refused("get", "secrets", "-A"), "forbidden"
    yield "the same token in another landlord's cluster", _elsewhere(tenant), LOGIN


def _elsewhere(tenant: Tenant) -> str:
    """Use a tenant's token at another cluster's API server; whose that is doesn't matter to whoever steals."""
    server = f"https://{tenant.clusters.node(EAST)}:6443"
    where = ("--server", server, "--insecure-skip-tls-verify", "--token", tenant.token)
    node = tenant.clusters.node("hub")
    command = ("docker", "exec", node, "kubectl", "--kubeconfig", "/dev/null", *where)
    done = tenant.clusters.tools.shell.attempt(*command, "get", "pods")
    assert done.returncode != 0, done.stdout
    return done.stderr.strip()
