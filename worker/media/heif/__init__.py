"""HEIC, the photos of phones: read by boxes of our own and FFmpeg's HEVC decoder."""
