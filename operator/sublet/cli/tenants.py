"""Tenants as a person names them on the command line, out of the ledger."""

from collections.abc import Sequence

from sublet.api.ids import TenantUID
from sublet.cli.problems import Problem
from sublet.rating.books import Books


def tenants_named(books: Books, names: Sequence[str]) -> list[TenantUID]:
    """Return the tenants that are meant, each by name or UID; Problem if the ledger knows none, or several, of that name."""
    found = []
    for name in names:
        uids = [uid for uid, terms in books.tenants.items() if name in (uid, terms.name)]
        if not uids:
            raise Problem(f"the ledger knows no tenant {name!r}; known are: {_known(books)}")
        if len(uids) > 1:
            raise Problem(
                f"the ledger knows several tenants {name!r}; give a UID: {', '.join(sorted(uids))}"
            )
        found += uids
    return found


def _known(books: Books) -> str:
    return ", ".join(sorted(t.name for t in books.tenants.values())) or "none"
