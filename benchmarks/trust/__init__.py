"""Bars of provenance, refusals and audit."""
