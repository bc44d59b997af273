"""The ledger: an append-only record of who held how many GPUs of which lease, from when to when. Pure.

The bill is its integral. Quantities are integer GPU-milliseconds; money appears only at rating, as Decimal.
Storage is in `sublet.store`; this package knows no database and no clock.
"""
