"""Torch definitions, one network a file."""
