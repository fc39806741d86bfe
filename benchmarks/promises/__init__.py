"""Bars of the promises: consent, isolation and fairness."""
