"""What leaves the operator for finance and for other systems. I/O above the ledger; nothing here decides what is billed."""
