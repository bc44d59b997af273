"""Pools of a lease, and those of which nodes will do."""

from dataclasses import replace

from sublet.book.pools import Pools, Wanted
from tests.builders.api import as_lease
from tests.builders.fleet import nodes

CLIQUES = ("rack.0", "rack.1", None)
MEMORIES = (40_000, 81_000, None)


def test_those_that_suit_are_all_that_have_what_is_wanted_and_no_others():
    shown = [(c, m) for c in CLIQUES for m in MEMORIES]
    plain = nodes(as_lease(), len(shown))
    found = [replace(n, clique=c, memory_mib=m) for n, (c, m) in zip(plain, shown, strict=True)]
    pools = Pools(found, (40_000, 80_000))
    coming = pools.of_coming(4)
    for domain in ("rack.0", "rack.1", "rack.2", "", None):
        for wanted in (Wanted(s, m, domain) for s in (4, 8) for m in (0, 40_000, 80_000)):
            assert pools.suiting(wanted) == tuple(sorted(p for p in pools.all if wanted.has(p)))
    assert coming in pools.suiting(Wanted(4, 0, ""))
