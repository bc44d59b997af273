"""What leaves the operator: FOCUS files for finance, events for other systems. I/O above the ledger; nothing here decides what is billed."""
