"""Statements of tenants: which there should be by the ledger (`wanted`), and the task that closes periods and writes them (`keeper`)."""
