"""Bars of the job guarantees."""
