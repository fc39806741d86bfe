"""Bars of the repository itself: limits, openings, size, style."""
