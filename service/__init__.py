"""HTTP front of the face-swap service (see docs/architecture.md)."""
