"""Preparing what is trained on: crops, frames of videos, parts of faces, the canonical face."""
