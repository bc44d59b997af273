"""A month's files, tenant by tenant and of the landlords: used by the command line and by the operator's own schedule.

What can't be made of one tenant is said, and the others are made all the same; where the sink itself fails nothing more is tried.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum

from sublet.api.ids import TenantUID
from sublet.api.times import Millis
from sublet.export.focus.account import Account, Seller
from sublet.export.focus.amounts import TooLarge
from sublet.export.focus.landlords import Landlords
from sublet.export.focus.manifest import Manifest
from sublet.export.focus.months import NoAccount, tenant_month
from sublet.export.focus.run import Layout, export_tenant, export_wholesale, folder_of
from sublet.export.sink.port import Sink
from sublet.ledger.texts.rates import NoRate
from sublet.rating.books import Books
from sublet.rating.grid import Grid
from sublet.rating.periods import NoSuchPeriod
from sublet.rating.tenancy import Tenancy, tenancies_of


class Side(StrEnum):
    """Whose files."""

    TENANTS = "tenants"
    WHOLESALE = "wholesale"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Style:
    """How files are made, whatever they are about."""

    seller: str
    layout: Layout
    grid: Grid = Grid.HOUR
    shows_host: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """What couldn't be made, and why; what stood there before still does."""

    audience: str
    text: str


class Months:
    """Makes the files of any month out of one state of the ledger."""

    def __init__(self, sink: Sink, books: Books, style: Style, as_of_ms: Millis) -> None:
        self._sink, self._books, self._style = sink, books, style
        self._as_of_ms = as_of_ms
        self.tenancies = tenancies_of(books)
        self.landlords = Landlords(books, as_of_ms)
        self._names = folder_names(books)

    def export(
        self, month: str, side: Side, tenants: Collection[TenantUID] | None = None
    ) -> Iterator[Manifest | Failed]:
        """Yield what was made, as it is made; SinkFailed. A tenant that isn't named and owed nothing yet has no files."""
        if side is not Side.WHOLESALE:
            for uid, tenancy in self.tenancies.items():
                if tenants is None or uid in tenants:
                    done = self.tenant(tenancy, month)
                    if done is not None or tenants is not None:
                        yield done or Failed(
                            self.audience(tenancy), f"nothing was owed in {month} or before"
                        )
        if side is not Side.TENANTS:
            yield self.wholesale(month)

    def audience(self, tenancy: Tenancy | None) -> str:
        """Return whose files they are, as a manifest says it; of landlords without a tenancy."""
        return "wholesale" if tenancy is None else f"tenant/{self._name(tenancy)}"

    def folder(self, tenancy: Tenancy | None, month: str) -> str:
        """Return where a month's files are kept."""
        whose = "wholesale" if tenancy is None else f"tenants/{self._name(tenancy)}"
        return folder_of(whose, month, self._style.layout.version)

    def _name(self, tenancy: Tenancy) -> str:
        return self._names.get(tenancy.tenant_uid, tenancy.tenant_uid)

    def tenant(self, tenancy: Tenancy, month: str) -> Manifest | Failed | None:
        """Make one tenant's files; None if it has no billing period of that month. Raises SinkFailed."""
        style = self._style
        try:
            found = tenant_month(self._books, tenancy, month, style.grid, self._as_of_ms)
            account = Account(
                tenancy.tenant_uid,
                found.terms.model_copy(update={"name": self._name(tenancy)}),
                Seller(style.seller),
                found.period,
                style.shows_host,
            )
            return export_tenant(self._sink, found.books, account, found.charges, style.layout)
        except NoSuchPeriod:
            return None
        except (NoAccount, NoRate, TooLarge) as error:
            return Failed(self.audience(tenancy), str(error))

    def wholesale(self, month: str) -> Manifest | Failed:
        """Make the wholesale files. Raises SinkFailed."""
        made = self.landlords
        period, books = made.period(month), made.books(month)
        leases = made.of_leases(month, self._style.grid)
        try:
            return export_wholesale(self._sink, books, period, leases, self._style.layout)
        except TooLarge as error:
            return Failed("wholesale", str(error))


def folder_names(books: Books) -> dict[TenantUID, str]:
    """Return what each tenant's folder is called: its name; of a later tenant of the same name, with the UID's beginning."""
    found: dict[TenantUID, str] = {}
    for uid, terms in books.tenants.items():  # in the order in which the ledger first heard of them
        is_taken = terms.name in found.values()
        found[uid] = f"{terms.name}.{uid[:8]}" if is_taken else terms.name
    return found
