"""What is known of one lease's cluster beside its nodes. Written by `LeasedCluster`, read by the conditions."""

from dataclasses import dataclass, replace
from typing import Final, NamedTuple, Self

from sublet.api.ids import ClusterUID
from sublet.api.times import Millis
from sublet.book.inventory import Reach

NOT_LOOKED: Final = "NotLooked"
OLDER_ONBOARDING: Final = "OlderOnboarding"
"""Reason of IsolationReady while it is True and `sublet onboard` should be run again."""


@dataclass(frozen=True, slots=True)
class Orphans:
    """What a cluster holds of claims that the hub doesn't know, as the last look found it."""

    reason: str = ""
    """Empty: there is nothing."""
    message: str = ""
    """Empty: it wasn't looked at yet."""


class Seen(NamedTuple):
    """What the sweep, the registry and the node watch have seen; fields of `LeaseFacts`."""

    orphans: Orphans
    credential_version: str
    synced: bool
    nodes_error: str


@dataclass(frozen=True, slots=True)
class LeaseFacts:
    """One observation of a leased cluster; None and empty texts mean "not known yet" or "no fault"."""

    reach: Reach = Reach.UNKNOWN
    unreachable_since_ms: Millis | None = None
    seen_ms: Millis | None = None
    """While it isn't reached: when it last was, as the cluster that it should be; None if never since we started."""
    tried: bool = False
    """It was asked often enough to know whether it answers."""
    bad_answer: str = ""
    """What it answers that no API server does, while it is Unknown for that."""
    credentials_error: str | None = None
    """Why the kubeconfig can't be used: safe to show, never its content."""
    credentials_checked: bool = False
    """The cluster accepted the credential at least once since it last changed."""
    cluster_uid: ClusterUID | None = None
    identity_error: str | None = None
    kubernetes_version: str | None = None
    isolation_ready: bool | None = None
    """None: not tried yet."""
    isolation_message: str = ""
    """Why it isn't, or what is to be mended though it is."""
    permission_error: str | None = None
    """The right to see who the cluster is, which the credential lacks."""
    missing_rights: tuple[str, ...] = ()
    """Other rights that the credential lacks, as `verb resource`: nothing new is sold, and all else goes on."""
    excess: str | None = ""
    """What `tenantAccess` asks for beyond what was onboarded; None: it has changed, and wasn't tried since."""
    credential_version: str = ""
    """resourceVersion of the Secret with the credential that the cluster accepted; empty if it hasn't yet."""
    synced: bool = False
    """The node list was read to its end, and can be believed."""
    clock_ahead_seconds: int | None = None
    """By how much its clock is ahead of ours, 0 while they agree; None if it doesn't say."""
    orphans: Orphans = Orphans()
    nodes_error: str = ""
    """Why the nodes can't be read, though the cluster may answer otherwise."""

    def with_seen(self, seen: Seen) -> Self:
        """Return them with what the probe doesn't know."""
        return replace(self, **seen._asdict())

    @property
    def is_faulty(self) -> bool:
        """Say whether something is known to be wrong with it, beside rights that selling needs."""
        fault = self.credentials_error or self.identity_error or self.permission_error
        return bool(fault or self.nodes_error or self.bad_answer)

    @property
    def is_isolated(self) -> bool:
        """Say whether isolation is proven and nothing that binding needs is refused, so that the lease may be sold."""
        lacks = self.permission_error is not None or self.missing_rights or self.excess != ""
        return self.isolation_ready is True and not lacks


@dataclass(frozen=True, slots=True)
class ClusterHealth:
    """What metrics show of a leased cluster."""

    reachable: bool
    stale_seconds: float
    """Since its node watch was last heard; infinite before the first answer."""
    clock_ahead_seconds: int | None = None
    """By how much its clock is ahead of ours; None if it doesn't say."""
    seen_ms: Millis | None = None
    """When it was last seen to work; None if it never was since this process began."""
    credentials_expire_ms: Millis | None = None
    """When its credential ends, by the credential's own words; None if it doesn't say."""
