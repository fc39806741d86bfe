"""Untrusted bytes coming in: uploads, fetched URLs, and what kind of media they are."""
