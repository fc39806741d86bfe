"""Measured acceptance thresholds (`bars`) and the benchmark tables; see docs/bars.md."""
