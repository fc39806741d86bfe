"""Bars of the HTTP API and its safety."""
