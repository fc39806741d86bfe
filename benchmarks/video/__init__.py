"""Bars of the video path, and the benchmark table."""
