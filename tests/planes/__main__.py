"""`python -m tests.planes up|down|status|build [NAME …] [--set SET]`."""

import argparse
import sys
import time

from tests.planes import planes
from tests.planes.binaries import KUBERNETES_VERSION, cache, find_all
from tests.planes.plane import MEMORY, PlaneError


def main() -> int:
    """Run the development tool; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.planes", description=__doc__)
    parser.add_argument("action", choices=["up", "down", "status", "build", "supervise"])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--set", default="dev", help="several sets can be up at once")
    parser.add_argument("--durable", action="store_true", help="etcd syncs to disk")
    parser.add_argument("--audited", default="", help="users whose requests are logged")
    parser.add_argument("--memory", default=MEMORY, help="what each program's heap may grow to")
    given = parser.parse_args()
    if given.action == "supervise":
        planes.supervise(
            given.names[0],
            given.names[1:],
            durable=given.durable,
            audited=given.audited,
            memory=given.memory,
        )
        return 0
    if given.action == "build":
        find_all()
        print(f"programs in {cache()}")
        return 0
    if given.action == "down":
        print("stopped" if planes.stop(given.set) else "nothing is up")
        return 0
    if given.action == "up":
        begun = time.monotonic()
        planes.start(
            given.set,
            given.names or ["hub", "west", "east"],
            keep=True,
            durable=given.durable,
            memory=given.memory,
        )
        print(f"up in {time.monotonic() - begun:.1f} s")
    return _show(given.set)


def _show(set_name: str) -> int:
    found = planes.running(set_name)
    if found is None:
        print("nothing is up; start it with: python -m tests.planes up hub west east")
        return 1
    print(f"Kubernetes {KUBERNETES_VERSION}, set {set_name}, pid {found.pid}")
    for name in found.names:
        print(f"  {name:<6} KUBECONFIG={found.kubeconfig(name)}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except PlaneError as error:
        print(f"planes: {error}", file=sys.stderr)
        sys.exit(1)
