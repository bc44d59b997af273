"""What a tenant tries, with its own kubeconfig on a leased cluster and from a pod on the hub, and what must be said to that."""

from collections.abc import Iterator

from tests.kind.clusters import EAST, WEST
from tests.kind.release import NAMESPACE
from tests.kind.tenant import Tenant, hub_pod, work_pod

LOGIN = "You must be logged in to the server"
"""What kubectl makes of 401."""
_HOST = [{"name": "host", "hostPath": {"path": "/"}}]
_METRICS, _ADMIN = ("401", "403"), ("ConnectionRefusedError",) * 2
"""What is said without a token and with the tenant's: the operator asks the hub, and the admin endpoint is on loopback alone."""
_SILENCE = ("TimeoutError",) * 2
"""What a network makes of both that enforces the chart's NetworkPolicy."""
_READ = """
import sys, urllib.request
token = open("/var/run/secrets/kubernetes.io/serviceaccount/token").read()
for url in sys.argv[1:]:
    for headers in {}, {"Authorization": "Bearer " + token}:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=5) as answer:
                said = answer.status
        except urllib.error.HTTPError as error:
            said = error.code
        except OSError as error:
            said = type(getattr(error, "reason", error)).__name__
        print(said)
"""


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


def read_from_the_hub(tenant: Tenant, operator_address: str) -> str:
    """Let a tenant's pod on the hub read what the operator serves, with its token and without; AssertionError if it gets anything."""
    expected = {
        f"http://{operator_address}:8080/metrics": _METRICS,
        f"http://sublet.{NAMESPACE}.svc:8080/metrics": _METRICS,
        f"http://{operator_address}:8081/admin/v1/usage": _ADMIN,
    }
    said = hub_pod(tenant, "curious", "python", "-c", _READ, *expected).split()
    answers = zip(said[::2], said[1::2], strict=True)
    for (url, refused), got in zip(expected.items(), answers, strict=True):
        assert got in (refused, _SILENCE), (url, got)
    return " ".join(said)
