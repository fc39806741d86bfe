"""Identities: their records, the sealed codes, and the weights that are derived from them."""
