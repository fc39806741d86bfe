"""A few frames of a video, read from the key frames before them and no further back."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from worker.settings import MediaLimits
from worker.video.glimpses import FURTHER, glimpse_spans, glimpses
from worker.video.video import Video

FRAMES = 120
RATE = 30


def video(path: Path, key_every: int) -> Path:
    """Write two seconds and more whose frames say by their brightness which they are."""
    with av.open(str(path), "w") as container:
        options = {"g": str(key_every), "sc_threshold": "0", "bf": "2"}
        stream = container.add_stream("libx264", rate=RATE, options=options)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for number in range(FRAMES):
            pixels = np.full((64, 64, 3), 2 * number, np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
            frame.pts = number
            frame.time_base = Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))

    return path


@pytest.mark.parametrize(
    ("key_every", "expected"),
    [
        # Places are 20, 60 and 100: each from the key frame before it.
        (30, [0, 60, 90]),
        # Two of them have one key frame before them.
        (50, [0, 50, 100]),
        (200, [0, FURTHER, 2 * FURTHER]),
    ],
)
def test_glimpses_are_read_from_the_key_frame_before_them(
    tmp_path: Path, key_every: int, expected: list[int]
) -> None:
    with Video.open(video(tmp_path / "in.mp4", key_every), MediaLimits()) as read:
        seen = list(glimpses(read, tmp_path))
        assert [round(glimpse.time_s * RATE) for glimpse in seen] == expected
        shades = [float(glimpse.bgr.mean()) / 2 for glimpse in seen]
        assert shades == pytest.approx(expected, abs=2)

        # Decoding begins at a key frame, a few frames before the one that is taken at most.
        step = round(1 / (RATE * read.info.time_base))
        for span in glimpse_spans(read):
            assert span.since is not None
            assert span.start is not None
            assert (span.since - read.info.start_pts) % (key_every * step) == 0
            assert span.start - span.since <= 2 * FURTHER * step
