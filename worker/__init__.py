"""Jobs: what the service accepts and workers carry out (see docs/architecture.md)."""
