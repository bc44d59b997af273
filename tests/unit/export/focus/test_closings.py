"""Which line closes a month of the landlords' files, whatever is written after it."""

from sublet.export.focus.closings import closings
from tests.builders.billing import Journal
from tests.builders.closing import LATER

MUCH_LATER = "2026-12-08T00:00:00Z"


def journal(*tenants: str) -> Journal:
    """Return a ledger in which each tenant has a claim since September."""
    made = Journal()
    made.lease("west")
    for tenant in tenants:
        made.tenant(tenant)
        had(made, tenant)
    return made


def had(made: Journal, tenant: str, since: str = "2026-09-05T00:00:00Z") -> None:
    made.reserved(f"{tenant}-train", tenant=tenant)
    made.begins(f"{tenant}-train", since, tenant=tenant)


def closed(made: Journal, month: str, *tenants: str) -> int:
    """Close a month of some tenants; return the last line."""
    for tenant in tenants:
        made.closed(month, MUCH_LATER, tenant)
    return made.entries[-1].seq


def found(made: Journal) -> dict[str, int]:
    return {month: line.seq for month, line in closings(made.books()).items()}


def test_it_is_that_of_the_last_tenant_that_owed_anything():
    made = journal("acme", "globex")
    closed(made, "2026-09", "acme")
    assert found(made) == {}

    last = closed(made, "2026-09", "globex")
    assert found(made) == {"2026-09": last}


def test_a_tenant_that_is_heard_of_later_opens_no_month_again():
    made = journal("acme")
    september = closed(made, "2026-09", "acme")
    made.tenant("globex")
    had(made, "globex")
    closed(made, "2026-09", "globex")

    assert found(made) == {"2026-09": september}


def test_a_month_that_is_closed_later_than_those_after_it_is_corrected_after_them():
    made = journal("acme")
    september = closed(made, "2026-09", "acme")
    made.tenant("globex")
    had(made, "globex", "2026-08-05T00:00:00Z")
    august = closed(made, "2026-08", "globex")

    assert list(found(made).items()) == [("2026-09", september), ("2026-08", august)]


def test_a_claim_that_proves_to_have_lasted_no_time_is_waited_for_until_a_later_month_is_closed():
    made = journal("acme", "globex")
    closed(made, "2026-09", "acme")
    made.ends("globex-train", "2026-09-05T00:00:00Z")
    assert found(made) == {}

    october = closed(made, "2026-10", "acme")
    assert found(made) == {"2026-09": october, "2026-10": october}


def test_a_claim_that_never_lasted_is_not_waited_for():
    made = journal("acme", "globex")
    made.ends("globex-train", "2026-09-05T00:00:00Z")

    september = closed(made, "2026-09", "acme")

    assert found(made) == {"2026-09": september}


def test_who_was_adjusted_owes_something():
    made = journal("acme")
    made.tenant("globex")
    made.adjusted(LATER, "2026-09", "5", tenant="globex")
    closed(made, "2026-09", "acme")

    assert found(made) == {}
