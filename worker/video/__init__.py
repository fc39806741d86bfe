"""Video in, video out: reading, swapping and writing streams (see docs/architecture.md)."""
