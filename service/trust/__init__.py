"""Verification of files, and the audit trail as its readers see it."""
