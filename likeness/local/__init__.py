"""Swaps and analyses without a server: the worker's own child and use cases, on files."""
