"""From the ledger's lines to money: what tenants owe, what landlords are owed, and what lies between. Pure.

Reads the ledger alone, so that nothing that is edited later re-rates the past. Read by statements, exports, metrics and the
command line; writes nothing.
"""
