"""Leader election by a Lease: only its holder writes. Losing it ends the process.

The stock client cancels the leading task on loss, which kopf answers with a kill timer; here loss is an event that the
composition root waits for. Correctness never rests on this: two leaders are settled by compare-and-set.
"""

import asyncio
from contextlib import suppress
from typing import Any, Final

import structlog

from sublet.api.times import Millis, format_micro, parse_instant
from sublet.clock import Clock
from sublet.kube.errors import Conflict, KubeError, NotFound
from sublet.kube.session import ApiServer, Limits
from sublet.kube.skew import ahead_seconds

LONGEST_RETRY_SECONDS: Final = 2.0
LONGEST_TRY_SECONDS: Final = 3.0
"""A connection that is silent for ever costs one of the tries before the Lease counts as lost, not all of them."""
ELECTION_LIMITS: Final = Limits(connections=1, request_seconds=LONGEST_TRY_SECONDS)
LEASE_NAME: Final = "sublet"


class Leadership:
    """Takes, renews and gives up one Lease."""

    def __init__(
        self, hub: ApiServer, clock: Clock, *, namespace: str, identity: str, lease_seconds: float
    ) -> None:
        self._hub = hub
        self._clock = clock
        self._path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._namespace = namespace
        self._identity = identity
        self._lease_seconds = lease_seconds
        self._try_seconds = min(LONGEST_TRY_SECONDS, lease_seconds / 3)
        self._renewed_at = float("-inf")
        self._seen: tuple[str, str] | None = None
        self._seen_at = float("-inf")
        self.lived_ms: Millis | None = None
        """When whoever led before us renewed the Lease last; None if nobody did, or while we don't lead."""
        self.hub_ahead_seconds: int | None = None
        """By how much the hub's clock is ahead of ours, by its newest answer; None before the first."""
        self.gained = asyncio.Event()
        self.lost = asyncio.Event()

    @property
    def leads(self) -> bool:
        """Say whether the Lease is ours and was renewed lately enough to write."""
        return self.gained.is_set() and not self.lost.is_set() and not self._is_overdue()

    async def run(self) -> None:
        """Try for the Lease until it is held, renew it until it is lost."""
        while not self.lost.is_set():
            # others count from when the renewal was stored, which may be long before its answer is here
            asked_at = self._clock.monotonic()
            try:
                async with asyncio.timeout(self._try_seconds):
                    held = await self._try()
            except (KubeError, TimeoutError) as error:
                why = str(error) or f"no answer within {self._try_seconds:g} s"
                structlog.get_logger().warning("lease not renewed", error=why)
                held = None
            except Exception:  # noqa: BLE001  whatever somebody wrote into the Lease: who never tries again never leads again
                structlog.get_logger().exception("lease not renewed")
                held = None
            if held is not None:
                self.hub_ahead_seconds = ahead_seconds(self._hub.date, self._clock.now_ms())
            if held:
                self._renewed_at = asked_at
                self.gained.set()
            elif self.gained.is_set() and (held is False or self._is_overdue()):
                self.lost.set()
                return
            # well within the two thirds after which it counts as lost
            pause = min(LONGEST_RETRY_SECONDS, self._lease_seconds / 6)
            await asyncio.sleep(max(0.0, asked_at + pause - self._clock.monotonic()))

    async def give_up(self) -> None:
        """Free the Lease so that a standby takes over at once."""
        if not self.gained.is_set() or self.lost.is_set():
            return
        try:
            lease = await self._hub.get(f"{self._path}/{LEASE_NAME}")
            if lease["spec"].get("holderIdentity") == self._identity:
                lease["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1}
                await self._hub.replace(f"{self._path}/{LEASE_NAME}", lease)
        except KubeError as error:
            structlog.get_logger().info("lease not given up; it will run out", error=str(error))

    def _is_overdue(self) -> bool:
        return self._clock.monotonic() - self._renewed_at > self._lease_seconds * 2 / 3

    async def _try(self) -> bool:
        """Renew or take the Lease by compare-and-set; return whether it is ours. Conflict: nobody knows until the next try."""
        try:
            lease = await self._hub.get(f"{self._path}/{LEASE_NAME}")
        except NotFound:
            return await self._create()
        spec = lease.setdefault("spec", {})
        holder = spec.get("holderIdentity") or ""
        mark = (holder, str(spec.get("renewTime")))
        if mark != self._seen:
            self._seen, self._seen_at = mark, self._clock.monotonic()
        life = float(spec.get("leaseDurationSeconds") or self._lease_seconds)
        # measured on our own clock since we saw it renewed: clocks of two machines are never compared
        expired = self._clock.monotonic() - self._seen_at > life
        if holder not in ("", self._identity) and not expired:
            return False
        if not self.gained.is_set() and spec.get("renewTime"):
            with suppress(ValueError):  # an instant that is none is no word of anybody before us
                self.lived_ms = parse_instant(str(spec["renewTime"]))
        spec |= self._spec()
        try:
            await self._hub.replace(f"{self._path}/{LEASE_NAME}", lease)
        except Conflict:
            if holder == self._identity:
                raise  # whoever wrote before us may have taken it: that is no renewal
            return False
        return True

    async def _create(self) -> bool:
        body: dict[str, Any] = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": LEASE_NAME, "namespace": self._namespace},
            "spec": self._spec(),
        }
        try:
            await self._hub.create(self._path, body)
        except Conflict:
            return False
        return True

    def _spec(self) -> dict[str, Any]:
        now = format_micro(self._clock.now_ms())
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": int(self._lease_seconds),
            "renewTime": now,
        }
