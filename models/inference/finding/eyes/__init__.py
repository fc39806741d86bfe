"""Lids, irises and the whites of the eyes, which the face mesh does not see."""
