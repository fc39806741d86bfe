"""Bars of the identity on a device: P-12, P-13."""
