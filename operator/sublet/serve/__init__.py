"""What the operator shows: health, metrics, and the read-only admin endpoint. Reads memory and ledger, writes nothing."""
