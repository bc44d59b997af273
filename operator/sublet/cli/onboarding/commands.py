"""What the three commands do with what a person said: names are checked, then the work begins."""

from dataclasses import dataclass

from sublet.cli.connect import checked_name, run
from sublet.cli.onboarding import doctor as diagnosing, offboard as leaving, onboard as preparing
from sublet.cli.onboarding.options import Allowed
from sublet.cli.onboarding.place import Place


@dataclass(frozen=True, slots=True)
class Named:
    """What the person called the two clusters."""

    context: str
    name: str
    hub_context: str | None
    namespace: str
    in_cluster: bool

    def checked(self) -> Place:
        """Return the place; Problem if a name can't be one."""
        return Place(
            context=self.context,
            name=checked_name(self.name, what="lease", label=True),
            hub_context=self.hub_context,
            namespace=checked_name(self.namespace, what="namespace", label=True),
            in_cluster=self.in_cluster,
        )


@dataclass(frozen=True, slots=True)
class How:
    """How a cluster is to be prepared."""

    rotate: bool
    take_over: bool
    wait_seconds: int
    dry_run: bool


def onboard(named: Named, allowed: Allowed, how: How) -> None:
    """Prepare a leased cluster, or print what would be installed."""

    async def work() -> None:
        order = preparing.Order(
            named.checked(),
            allowed.checked(),
            rotate=how.rotate,
            take_over=how.take_over,
            wait_seconds=how.wait_seconds,
        )
        await (preparing.print_manifests(order) if how.dry_run else preparing.onboard(order))

    run(work, what=f"onboarding {named.name}")


def doctor(lease: str | None, hub_context: str | None, namespace: str) -> None:
    """Look at one lease's cluster, or at all; exit status 1 if something must be mended."""

    async def work() -> None:
        name = lease if lease is None else checked_name(lease, what="lease")
        where = checked_name(namespace, what="namespace", label=True)
        good = await diagnosing.diagnose_all(name, hub_context=hub_context, namespace=where)
        if not good:
            raise SystemExit(1)

    run(work, what=f"lease {lease}" if lease else "the leases")


def offboard(named: Named) -> None:
    """Take everything back."""

    async def work() -> None:
        await leaving.offboard(named.checked())

    run(work, what=f"offboarding {named.name}")
