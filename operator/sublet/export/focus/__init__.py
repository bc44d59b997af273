"""FOCUS 1.4 (and its 1.2 profile): tenants' files and wholesale files, apart. Same ledger and period, same bytes."""
