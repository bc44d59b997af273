"""The ledger in a database: SQLite embedded by default, PostgreSQL by URL, one schema for both."""
