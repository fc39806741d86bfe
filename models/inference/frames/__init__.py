"""Frames as the swapper sees them: RGB stills and I420 video frames, and resampling."""
