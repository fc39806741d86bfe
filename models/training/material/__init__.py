"""Preparing what is trained on: crops, clips, parts of faces, the canonical face."""
