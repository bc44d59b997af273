"""Asks a leased cluster, again and again, who it is, whether it answers and whether isolation acts there.

Owns the facts of one cluster beside its nodes. Identity comes first: while the cluster isn't the one that the lease is
pinned to, nothing else is asked of it and nothing is written there. Proving isolation takes many requests, so it has
time of its own and its failures never make a cluster unreachable that answers.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from sublet.api.gpulease import GpuLease
from sublet.api.ids import ClusterUID
from sublet.api.lease_terms import TenantAccess
from sublet.api.times import Millis
from sublet.book.inventory import Reach
from sublet.clock import Clock
from sublet.fleet.access import asks_of, find_excess
from sublet.fleet.drift import PolicyWatch
from sublet.fleet.facts import LeaseFacts
from sublet.fleet.isolation import missing_right, prove_isolation
from sublet.fleet.pin import pin_fault
from sublet.fleet.rights import find_missing_rights, hides_isolation
from sublet.fleet.trouble import words_of
from sublet.kube.errors import BadAnswer, Forbidden, KubeError, Unauthorized, Unreachable, Untrusted
from sublet.kube.identity import read_cluster_uid
from sublet.kube.session import ApiServer
from sublet.kube.skew import ahead_seconds, settled
from sublet.kube.waiting import is_set_within
from sublet.kube.wire import Version
from sublet.logs import log_about

ISOLATION_SECONDS: Final = 90.0
"""For one whole proof, some 35 requests, also over a slow line."""

POLICY_ACTS_SECONDS: Final = 1.5
"""After it was written; 1.0 s was seen at most."""
_FIRST_SECONDS: Final = 1.0
"""Between two looks while isolation isn't proven."""
MOST_CHANGES: Final = 60
RESTLESS_WITHIN_SECONDS: Final = 600.0
RESTLESS_SECONDS: Final = 10.0
"""Between two looks at a cluster of which something else is learnt so often: each change is a write on the hub."""


@dataclass(frozen=True, slots=True)
class ProbeTimes:
    """How often a cluster is asked, in seconds."""

    every_seconds: float = 10.0
    failures: int = 3
    """So many failed probes in a row make a cluster's state Unknown."""
    isolation_seconds: float = 3_600.0
    isolation_retry_seconds: float = 15.0
    settle_seconds: float = 600.0
    """For so long GPUs that came back must stay before their node is sold."""


class Probe:
    """Keeps the facts of one leased cluster."""

    def __init__(
        self,
        api: ApiServer,
        lease: Callable[[], GpuLease],
        *,
        hub_uid: ClusterUID | None,
        clock: Clock,
        times: ProbeTimes,
        changed: Callable[[], None],
        confirmed: Callable[[], Awaitable[None]],
        is_anothers: Callable[[ClusterUID], bool],
        seen_ms: Millis | None = None,
    ) -> None:
        """`confirmed` is awaited after each probe that found the right cluster; `is_anothers` says whose a UID is.

        `seen_ms`: when a probe before this one last saw the cluster work.
        """
        self.facts = LeaseFacts()
        self._api = api
        self._lease = lease
        self._hub_uid = hub_uid
        self._clock = clock
        self._times = times
        self._changed = changed
        self._confirmed = confirmed
        self._is_anothers = is_anothers
        self._failures = 0
        self.seen_ms = seen_ms
        """When the cluster was last seen to work."""
        self._isolation_due = float("-inf")
        self._tried_at = float("-inf")
        self._doubted = asyncio.Event()
        self._isolation_failures = 0
        self._policies = PolicyWatch(api)
        self._changes: deque[float] = deque(maxlen=MOST_CHANGES)  # monotonic instants

    async def run(self) -> None:
        """Probe until cancelled; nothing that goes wrong leaves this task."""
        while True:
            try:
                await self._look()
            except Exception:  # noqa: BLE001  one cluster's surprise must not end its task, nor anybody else's
                log_about(lease=self._lease()).exception("probe failed")
                self._fail(None)
            await is_set_within(self._doubted, self._wait_seconds())
            self._doubted.clear()

    def _wait_seconds(self) -> float:
        """Return how long to wait for the next look; a server that lies could say something else each time."""
        recent, now = self._changes, self._clock.monotonic()
        if len(recent) == MOST_CHANGES and now - recent[0] < RESTLESS_WITHIN_SECONDS:
            return max(RESTLESS_SECONDS, self._times.every_seconds)
        wait = self._times.every_seconds
        return wait if self.facts.isolation_ready else min(wait, _FIRST_SECONDS)

    def doubt(self) -> None:
        """Look at once, rights included: the cluster refused a step. Not more often than a failed proof is repeated."""
        soonest = self._tried_at + self._times.isolation_retry_seconds
        self._isolation_due = min(self._isolation_due, soonest)
        if self._clock.monotonic() >= soonest:
            self._doubted.set()

    def see_access(self, before: TenantAccess) -> None:
        """Sell nothing before what the lease lets tenants do was tried anew, if it asks for anything else than before."""
        if asks_of(self._lease().spec.tenant_access) != asks_of(before):
            self._learn(excess=None)
            self._isolation_due = float("-inf")
            self._doubted.set()

    async def confirm(self) -> None:
        """See that this is still the cluster that was confirmed, and the lease's; Unreachable if it isn't."""
        uid = await read_cluster_uid(self._api)
        if uid != self.facts.cluster_uid or self._identity_fault(uid) is not None:
            raise Unreachable("the kubeconfig leads to another cluster now")

    async def _look(self) -> None:
        try:
            async with asyncio.timeout(self._times.every_seconds):
                confirmed = await self._identify()
            self._failures = 0
        except Unauthorized:
            self._learn(
                reach=Reach.UNREACHABLE,
                seen_ms=self.seen_ms,
                tried=True,
                credentials_checked=False,
                credentials_error="the cluster doesn't accept the credential; run `sublet onboard --rotate`",
            )
        except Forbidden as error:
            self._learn(reach=Reach.REACHABLE, permission_error=error.message)
        except (KubeError, TimeoutError) as error:
            self._fail(error)
        else:
            if confirmed:
                await self._confirmed()
                await self._see_to_isolation()

    async def _identify(self) -> bool:
        """Ask who the cluster is; return whether it is the one it was."""
        uid = await read_cluster_uid(self._api)
        ahead = ahead_seconds(self._api.date, self._clock.now_ms())
        fault = self._identity_fault(uid)
        if fault is not None:
            self._learn(
                reach=Reach.UNREACHABLE,
                seen_ms=self.seen_ms,
                tried=True,
                credentials_checked=True,
                credentials_error=None,
                identity_error=fault,
            )
            return False
        # asked again with each proof: clusters are upgraded
        if self.facts.kubernetes_version is None or self._clock.monotonic() >= self._isolation_due:
            version = await self._api.get_as("/version", Version)
            text = version.git_version
            self._learn(kubernetes_version=text if text.isprintable() else "")
        # not among the facts while it answers: each probe would be a change
        self.seen_ms = self._clock.now_ms()
        self._learn(
            reach=Reach.REACHABLE,
            unreachable_since_ms=None,
            seen_ms=None,
            tried=True,
            bad_answer="",
            credentials_checked=True,
            credentials_error=None,
            identity_error=None,
            permission_error=None,
            cluster_uid=uid,
            clock_ahead_seconds=settled(self.facts.clock_ahead_seconds, ahead),
        )
        return True

    def _identity_fault(self, uid: ClusterUID) -> str | None:
        lease = self._lease()
        if uid == self._hub_uid:
            return "the kubeconfig leads to the hub itself; a lease needs a cluster of its own"
        if fault := pin_fault(lease, uid, self.facts.cluster_uid):
            return fault
        if self._is_anothers(uid):
            return (
                f"an older lease reaches cluster {uid} under another CA; one of the two isn't who it says, "
                "and this one isn't believed"
            )
        return None

    async def _see_to_isolation(self) -> None:
        """Prove isolation when that is due: every hour, and at once when a policy was touched."""
        try:
            async with asyncio.timeout(ISOLATION_SECONDS):
                touched = await self._policies.changed()
                if touched:
                    log_about(lease=self._lease()).warning("policies were touched")
                    # what was proven may not hold any more: one proof that can't be made is enough now
                    self._isolation_failures = self._times.failures
                if touched or self._clock.monotonic() >= self._isolation_due:
                    await self._prove_isolation()
                asks = asks_of(self._lease().spec.tenant_access)
                if touched and (asks or not self.facts.is_isolated):
                    # they take about a second to act: those that are mended, and those that allow less
                    self._isolation_due = self._clock.monotonic() + POLICY_ACTS_SECONDS
        except Forbidden as error:
            if self.facts.isolation_ready or self._clock.monotonic() >= self._isolation_due:
                await self._find_rights(refusal=error)
        except (KubeError, TimeoutError) as error:
            self._fail_to_prove(error)

    async def _prove_isolation(self) -> None:
        self._tried_at = self._clock.monotonic()
        lacks = await find_missing_rights(self._api)
        if hides_isolation(lacks):
            self._lack(lacks)
            return
        proof = await prove_isolation(self._api)
        excess = self.facts.excess if proof.fault else await self._find_excess()
        self._isolation_failures = 0
        self._prove_later(
            isolation_ready=not proof.fault,
            isolation_message=proof.fault or proof.caveat,
            missing_rights=lacks,
            excess=excess,
        )

    async def _find_excess(self) -> str | None:
        """Return what the lease asks for beyond what was onboarded, None if it asks for something else by now."""
        access = self._lease().spec.tenant_access
        excess = await find_excess(self._api, access)
        return excess if self._lease().spec.tenant_access == access else None

    async def _find_rights(self, refusal: Forbidden) -> None:
        """Find out which right is missing; a cluster that can't say it is quoted."""
        self._tried_at = self._clock.monotonic()
        try:
            async with asyncio.timeout(ISOLATION_SECONDS):
                lacks = await find_missing_rights(self._api)
        except (KubeError, TimeoutError):
            lacks = ()
        if hides_isolation(lacks):
            self._lack(lacks)
        else:
            said = missing_right(refusal)
            self._prove_later(isolation_ready=False, isolation_message=said, missing_rights=lacks)

    def _lack(self, rights: tuple[str, ...]) -> None:
        """Take note that isolation can't be proven; why is said once, with the rights."""
        said = "it can't be proven while the credential lacks rights"
        self._prove_later(isolation_ready=None, isolation_message=said, missing_rights=rights)

    def _prove_later(self, **found: Any) -> None:
        self._learn(**found)
        proven = self.facts.is_isolated
        times = self._times
        wait = times.isolation_seconds if proven else times.isolation_retry_seconds
        self._isolation_due = self._clock.monotonic() + wait

    def _fail_to_prove(self, error: Exception) -> None:
        """Count a proof that couldn't be made: after a few nobody knows any more whether isolation holds."""
        log = log_about(lease=self._lease())
        log.warning("isolation not proven", error=type(error).__name__)
        self._isolation_due = self._clock.monotonic() + self._times.isolation_retry_seconds
        self._isolation_failures += 1
        if self._isolation_failures >= self._times.failures:
            text = f"the proof of isolation can't be made: {words_of(error)}"
            self._learn(isolation_ready=None, isolation_message=text)

    def _fail(self, error: Exception | None) -> None:
        self._failures += 1
        known = self.facts.reach
        if self._failures < self._times.failures and known is not Reach.UNKNOWN:
            return
        if known is not Reach.UNKNOWN:
            log = log_about(lease=self._lease())
            log.warning("cluster unreachable", error=type(error).__name__)
        since = self.facts.unreachable_since_ms or self.seen_ms or self._clock.now_ms()
        self._learn(
            reach=Reach.UNKNOWN,
            unreachable_since_ms=since,
            seen_ms=self.seen_ms,
            tried=self._failures >= self._times.failures,
            bad_answer=words_of(error) if isinstance(error, BadAnswer | Untrusted) else "",
        )

    def _learn(self, **fields: Any) -> None:
        facts = replace(self.facts, **fields)
        if facts != self.facts:
            self.facts = facts
            self._changes.append(self._clock.monotonic())
            self._changed()
