"""Networks and their use; knows no HTTP, no queue and no store (see docs/architecture.md)."""
