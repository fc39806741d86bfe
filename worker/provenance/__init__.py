"""Marks and credentials on results: the invisible mark `lk1`, C2PA manifests, and reading both."""
