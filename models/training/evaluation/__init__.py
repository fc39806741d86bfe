"""Measuring trained weights: figures, sheets, ablations."""
