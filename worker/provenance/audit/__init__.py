"""The audit trail on disk: its lines, its files by day, and the chain over all of them."""
