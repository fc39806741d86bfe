"""Bars of the repository itself: its rooms, its text, its facts, its citations and its checks."""
