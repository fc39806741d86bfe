"""Uploads and results: their records and their bytes."""
