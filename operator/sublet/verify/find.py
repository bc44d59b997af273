"""All invariants, and which of them hold after every single write. Pure.

A protocol's steps are writes of their own, so some things hold only when nobody is on the way any more: an overtaken
operator's last write may lie where nothing of its claim is left, until it is cleared; a line comes into the ledger after
the status that calls for it; a quota's status follows its spec. `docs/verify.md` says step by step what may be seen.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from sublet.verify import access, bills, contract, nodes, orphans
from sublet.verify.index import Index
from sublet.verify.leaks import shown
from sublet.verify.violation import Violation
from sublet.verify.world import World

Check = Callable[[Index], Iterator[Violation]]

ALWAYS: Final[tuple[Check, ...]] = (
    nodes.books_are_sound,
    nodes.nodes_are_not_oversold,
    nodes.nodes_are_shared_as_sold,
    nodes.bound_claims_have_their_locks,
    nodes.bound_claims_share_no_gpus,
    nodes.bound_nodes_are_fenced,
    nodes.pods_run_on_their_claims_nodes,
    contract.leases_are_not_oversold,
    access.bound_namespaces_are_complete,
    access.access_is_shown_while_bound,
    access.secrets_lie_beside_their_claims,
    access.nothing_shows_a_credential,
    orphans.holders_have_a_finalizer,
    orphans.holders_have_leases,
    bills.ledger_is_whole,
    bills.intervals_dont_overlap,
    bills.moves_leave_no_gap,
    bills.lines_agree_with_status,
    bills.gone_claims_are_closed,
    bills.prices_stay,
    bills.lines_say_why,
    contract.sold_time_is_bought,
)
"""Hold after every committed write, whoever made it."""

EVENTUALLY: Final[tuple[Check, ...]] = (
    access.quotas_are_enforced,
    access.bound_tenants_have_accounts,
    access.rights_end_with_the_claim,
    access.bound_claims_have_valid_access,
    orphans.entries_have_claims,
    orphans.marks_have_leases,
    orphans.leaving_marks_have_claims,
    orphans.unwiped_marks_have_entries,
    orphans.namespaces_have_claims,
    orphans.secrets_have_claims,
    orphans.no_claim_is_forgotten,
    orphans.deletions_complete,
    bills.lines_are_complete,
)
"""Hold when faults are over and everything has come to rest."""


def find_violations(world: World, *, settled: bool) -> Iterator[Violation]:
    """Yield what doesn't hold; `settled` asks for what holds only at rest, too.

    Nothing is concluded from what couldn't be read, nor across planes of a claim that was written during the reading.
    """
    index = Index(world)
    for check in (*ALWAYS, *(EVENTUALLY if settled else ())):
        for violation in check(index):
            if not violation.about & world.moving:
                subject, message = shown(violation.subject), shown(violation.message)
                yield replace(violation, subject=subject, message=message)
