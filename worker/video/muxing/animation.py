"""A video of an animation's frames: each as long as the animation showed it, without sound."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from worker.formats import CONTAINERS, VideoFormat
from worker.media.animation import AnimatedFrame
from worker.provenance.marking import Marking
from worker.video.encoder import SEGMENT_FORMAT, EncoderSettings, SegmentEncoder
from worker.video.frames.frame_format import FrameFormat
from worker.video.frames.tone_map import SDR
from worker.video.muxing.mux import (
    ENDING_AS_DECODED,
    Segment,
    add_frames,
    container_options,
    timed_packets,
)

# Animations count in hundredths or thousandths of a second; this holds both exactly.
TIME_BASE: Final = Fraction(1, 1000)
_WHITE: Final = 255  # behind transparent pixels, as browsers show them on a page


def write_video(
    path: Path,
    frames: Sequence[AnimatedFrame],
    file_format: VideoFormat,
    settings: EncoderSettings,
    marking: Marking | None = None,
) -> tuple[int, int]:
    """Write the frames, which are of one size, and return the video's width and height.

    Raises UnsupportedMedia when this installation lacks the codec.
    """
    height, width = frames[0].bgr.shape[:2]
    shortest_ms = min(frame.duration_ms for frame in frames)
    frame_format = FrameFormat(
        width=width + width % 2,  # 4:2:0 has colours for two pixels at once
        height=height + height % 2,
        # What players expect at most; the times of the frames are their own.
        fps=Fraction(1000, max(1, round(shortest_ms))),
        time_base=TIME_BASE,
        pixel_aspect=Fraction(1),
        colour=SDR,
    )
    # First as a segment, which keeps every time; the container is written from that.
    encoded = path.with_suffix(f".{SEGMENT_FORMAT}")
    due_ms = 0.0
    start = 0

    with SegmentEncoder(encoded, settings, frame_format, 0, marking) as encoder:
        for frame in frames:
            start = round(due_ms)
            encoder.encode(_as_video_frame(frame, frame_format, start))
            due_ms += frame.duration_ms

    _contain(Segment(encoded, 0), path, file_format, frame_format, last_ms=round(due_ms - start))
    return frame_format.width, frame_format.height


def _contain(
    segment: Segment, path: Path, file_format: VideoFormat, frame_format: FrameFormat, last_ms: int
) -> None:
    with (
        av.open(
            str(path),
            "w",
            format=CONTAINERS[file_format].muxer,
            container_options=container_options(file_format, frame_format),
        ) as result,
        av.open(str(segment.path), format=SEGMENT_FORMAT) as encoded,
    ):
        stream = add_frames(result, encoded.streams.video[0], frame_format)
        packets = timed_packets(
            [segment],
            TIME_BASE,
            origin=0,
            last_duration=last_ms,
            ends_as_decoded=file_format in ENDING_AS_DECODED,
        )
        for packet in packets:
            packet.stream = stream
            result.mux(packet)


def _as_video_frame(frame: AnimatedFrame, frame_format: FrameFormat, start: int) -> VideoFrame:
    pixels = _opaque(frame)
    height, width = pixels.shape[:2]
    padded = cv2.copyMakeBorder(
        pixels, 0, frame_format.height - height, 0, frame_format.width - width, cv2.BORDER_REPLICATE
    ).astype(np.uint8, copy=False)
    made = VideoFrame.from_ndarray(padded, "bgr24").reformat(
        format="yuv420p", dst_colorspace=SDR.matrix, dst_color_range=1
    )
    made.pts = start
    made.time_base = TIME_BASE
    return made


def _opaque(frame: AnimatedFrame) -> NDArray[np.uint8]:
    if frame.alpha is None or frame.alpha.min() == 255:
        return frame.bgr

    share = frame.alpha[:, :, None].astype(np.float32) / 255
    blended = frame.bgr * share + _WHITE * (1 - share)
    return blended.round().astype(np.uint8)
