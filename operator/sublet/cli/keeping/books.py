"""What backup, restore and adopt ask of the ledger, through the operator's admin endpoint."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from sublet.api.cancellation import GivenUp
from sublet.api.downtime import Downtime
from sublet.api.outage import Outage
from sublet.api.relocation import LeaseGpus
from sublet.api.times import parse_instant
from sublet.api.wording import how_many
from sublet.cli.admin import fetch, forwarded
from sublet.cli.connect import Cluster
from sublet.cli.keeping.archive import Position
from sublet.cli.keeping.catching_up import Begun
from sublet.cli.keeping.mapping import Term
from sublet.cli.problems import Problem

_POSITION: Final = "/admin/v1/ledger/position"
_OPEN: Final = "/admin/v1/ledger/open"
_NEVER: Final[Mapping[str, Any]] = {"sequence": 0, "end": None}
"""What there is of a claim that was never billed as used."""


@asynccontextmanager
async def endpoint(
    hub: Cluster, context: str | None, namespace: str, given: str | None
) -> AsyncIterator[str]:
    """Yield the admin endpoint's URL: the one that was given, else through a port-forward."""
    if given:
        yield given.rstrip("/")
        return
    async with forwarded(hub, namespace, context) as base:
        yield base


async def position(base: str) -> Position:
    """Return how far the ledger is."""
    answer = await fetch(base, _POSITION, {})
    return Position(int(answer["entries"]), str(answer["head"]))


async def last_terms(base: str) -> dict[str, Term]:
    """Return with which reservation each claim was billed last, by UID, and what it gave up too late."""
    answer = await fetch(base, _OPEN, {})
    # an older operator says nothing of it
    billed, given_up = answer["claims"], answer.get("givenUp", {})
    uids = billed.keys() | given_up.keys()
    return {uid: _term(billed.get(uid, _NEVER), given_up.get(uid, ())) for uid in uids}


def _term(billed: Mapping[str, Any], given_up: Iterable[Any]) -> Term:
    return Term(
        int(billed["sequence"]),
        parse_instant(billed["end"]) if billed["end"] else None,
        _begun(billed["begun"]) if billed.get("begun") else None,
        tuple(Outage.model_validate(each) for each in billed.get("outages", ())),
        tuple(Downtime.model_validate(each) for each in billed.get("downtimes", ())),
        tuple(GivenUp.model_validate(each) for each in given_up),
    )


def _begun(said: dict[str, Any]) -> Begun:
    leases = tuple(LeaseGpus.model_validate(each) for each in said["leases"])
    at_ms = parse_instant(said["time"])
    return Begun(at_ms, leases, str(said["priceHash"]), str(said["tagsHash"]))


async def compare(base: str, then: Position) -> str:
    """Say in one line how the ledger stands to its position in a backup; Problem if it is another one.

    By another one's lines it would be judged which claims ended, and their bills would go on in it.
    """
    answer = await fetch(base, _POSITION, {"seq": str(then.entries)})
    now = int(answer["entries"])
    if now < then.entries:
        return (
            f"the ledger is older than the backup: {how_many(now, 'line')} of {then.entries}; the operator writes again what "
            "claims that are adopted call for"
        )
    if then.entries and answer["hash"] != then.head:
        raise Problem(
            f"the ledger is another one: line {then.entries} isn't the backup's, so nothing was written; look for the right one "
            "(--admin, or the operator's database), or give --without-ledger if it is lost"
        )
    return f"the ledger goes on from the backup: {how_many(now, 'line')}, {now - then.entries} of them since"
