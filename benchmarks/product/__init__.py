"""Bars of the product: the command, the document, the clients."""
