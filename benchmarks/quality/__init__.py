"""Bars of the models: cost, identity, quality."""
