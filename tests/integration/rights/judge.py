"""Whether rights are exactly what was needed: each used, nowhere wider than it was used, and nothing used besides."""

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Final, NamedTuple

from sublet.fleet.isolation import EXTRA_ROLE, TENANT_ACCOUNT, TENANT_ROLE
from sublet.hub.leader import LEASE_NAME
from tests.integration.rights.audit import ANY, EVERYWHERE, PREREQUISITES, UNFORESEEN, Right

OUR_NAMES: Final = frozenset({"sublet", TENANT_ACCOUNT, TENANT_ROLE, EXTRA_ROLE, LEASE_NAME})
"""Names that nobody else chooses: a role can give them."""


class Fault(StrEnum):
    """What is wrong with a right."""

    UNUSED = "is granted and never used"
    UNGRANTED = "is used and no role grants it"
    FEW_PLACES = "is granted in the whole cluster and used in these namespaces alone"
    UNFENCED = "is granted in the whole cluster, used in such namespaces alone, and no policy keeps it there"
    FEW_NAMES = "is granted on every object and used on these alone"
    NAMELESS = "shows in no audit log, and doesn't say which object it is about"


class Finding(NamedTuple):
    """One right and what is wrong with it."""

    right: Right
    fault: Fault
    of: tuple[str, ...] = ()
    """The places or names."""

    def __str__(self) -> str:
        """Return it as a person says it."""
        return f"{self.right} {self.fault}{': ' if self.of else ''}{', '.join(self.of)}"


class Exemption(NamedTuple):
    """A right that is wider than its use, or used without a role of ours, and why that stays."""

    group: str
    resource: str
    verb: str
    fault: Fault
    why: str

    def excuses(self, finding: Finding) -> bool:
        """Say whether a finding is this one."""
        return (*finding.right[:3], finding.fault) == self[:4]


def judge(
    grants: set[Right], uses: set[Right], is_fenced: Callable[[Right], bool]
) -> list[Finding]:
    """Return everything by which what is granted isn't what was used."""
    found = [Finding(u, Fault.UNGRANTED) for u in uses if not any(g.covers(u) for g in grants)]
    for grant in grants:
        if grant.verb in PREREQUISITES:
            if grant.name == ANY:
                found.append(Finding(grant, Fault.NAMELESS))
        elif not (its_own := {use for use in uses if _goes_by(use, grant, grants)}):
            found.append(Finding(grant, Fault.UNUSED))
        elif not _is_listed(grant, grants):
            found += _too_wide(grant, its_own, is_fenced)
    return sorted(found)


def unexcused(
    findings: Iterable[Finding], exemptions: Iterable[Exemption]
) -> tuple[list[str], list[Exemption]]:
    """Return what no exemption excuses, and the exemptions that excuse nothing any more."""
    every, table = list(findings), list(exemptions)
    left = [str(f) for f in every if not any(e.excuses(f) for e in table)]
    return left, [e for e in table if not any(e.excuses(f) for f in every)]


def _goes_by(use: Right, grant: Right, grants: set[Right]) -> bool:
    """Say whether a use needs this grant: none that is narrower gives it."""
    return grant.covers(use) and not any(
        other != grant and grant.covers(other) and other.covers(use) for other in grants
    )


def _is_listed(grant: Right, grants: set[Right]) -> bool:
    """Say whether it is a read of what may be listed anyhow: a name or a place would hide nothing."""
    listing = grant._replace(verb="list")
    return grant.verb == "get" and any(each.covers(listing) for each in grants)


def _too_wide(
    grant: Right, its_own: set[Right], is_fenced: Callable[[Right], bool]
) -> Iterable[Finding]:
    places, names = {use.place for use in its_own}, {use.name for use in its_own}
    if grant.place == EVERYWHERE and EVERYWHERE not in places:
        if not places & UNFORESEEN:
            yield Finding(grant, Fault.FEW_PLACES, tuple(sorted(places)))
        elif not is_fenced(grant):
            yield Finding(grant, Fault.UNFENCED, tuple(sorted(places)))
    if grant.name == ANY and ANY not in names and (len(names) == 1 or names <= OUR_NAMES):
        yield Finding(grant, Fault.FEW_NAMES, tuple(sorted(names)))
