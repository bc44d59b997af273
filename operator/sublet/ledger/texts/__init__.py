"""What the ledger keeps by content hash beside prices and tags: the terms of leases, classes, tenants and reservations."""
