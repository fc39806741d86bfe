"""Decoder frames to frames of our own: upright, 8 bits, 4:2:0, even sides, writable.

And their planes as arrays.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from numpy.typing import NDArray

from models.inference.frames.i420 import I420Frame
from worker.video.frames.frame_format import (
    CONVERTED_MATRICES,
    FrameFormat,
    assumed_matrix,
    is_squared,
    source_matrix,
    square_size,
)
from worker.video.frames.interlacing import deinterlace
from worker.video.frames.tone_map import SDR, ToneMapper, is_wide
from worker.video.probe import UNSPECIFIED, ColourTags, VideoInfo

_EIGHT_BIT_LUMA = {"yuv420p", "yuvj420p", "nv12", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p"}


class FramePreparer:
    """Prepares the frames of one stream for swapping; `notes` collects what had to be changed.

    Most videos are 8-bit 4:2:0, upright and even already: their frames are only copied where the
    decoder still needs them as references. `scratch` is a directory for the colour table of HDR
    videos.
    """

    def __init__(self, info: VideoInfo, frame_format: FrameFormat, scratch: Path) -> None:
        self.notes: set[str] = set()
        self.frame_format = frame_format
        self._orientation = info.orientation
        self._source_size = info.orientation.size(info.width, info.height)
        self._tone_mapper = (
            ToneMapper(info.colour, scratch / "colours.cube") if is_wide(info.colour) else None
        )
        self._note_changes(info)

    def prepare(self, frame: VideoFrame) -> VideoFrame:
        """Return the frame as `width` x `height` yuv420p that may be written to, with its time."""
        pts = frame.pts
        duration = frame.duration
        time_base = frame.time_base
        prepared = self._oriented(self._eight_bit(frame))
        prepared.make_writable()  # the decoder predicts later frames from this one
        prepared.pts = pts
        prepared.time_base = time_base

        if duration:
            prepared.duration = duration

        return prepared

    def _note_changes(self, info: VideoInfo) -> None:
        width, height = square_size(info)
        if is_squared(info):
            self.notes.add("pixels_made_square")
        if max(width, height) > max(self.frame_format.width, self.frame_format.height):
            self.notes.add("scaled_down")
        elif (width, height) != (self.frame_format.width, self.frame_format.height):
            self.notes.add("padded_to_even_size")

        if info.colour.is_hdr:
            self.notes.add("hdr_tone_mapped_to_bt709")
        elif is_wide(info.colour):
            self.notes.add("wide_colours_converted_to_bt709")
        elif info.colour.matrix == UNSPECIFIED != self.frame_format.colour.matrix:
            self.notes.add(f"tagged_as_{source_matrix(info)}")

        if info.bit_depth > 8 and not info.colour.is_hdr:
            self.notes.add("reduced_to_8_bit")
        if info.has_alpha:
            self.notes.add("alpha_dropped")

    def _eight_bit(self, frame: VideoFrame) -> VideoFrame:
        """8-bit 4:2:0 in the output's matrix and range, at the size the output has before it is
        turned.
        """
        interlaced = frame.interlaced_frame
        if self._tone_mapper is not None:
            frame = self._tone_mapper.map(frame)
        if interlaced:
            frame = self._whole_frame(frame)

        width, height = self._orientation.size(self.frame_format.width, self.frame_format.height)
        smaller = "scaled_down" in self.notes
        scaled = smaller or "pixels_made_square" in self.notes

        if (frame.width, frame.height) != self._source_size:
            self.notes.add("size_changed_midway")
            smaller = True
            scaled = True

        plain = (
            frame.format.name in {"yuv420p", "yuvj420p"}
            and frame.colorspace not in CONVERTED_MATRICES
        )
        if plain and not scaled:
            return frame
        if (
            frame.format.name not in {"yuv420p", "yuvj420p", "nv12"}
            and "reduced_to_8_bit" not in self.notes
        ):
            self.notes.add(f"converted_from_{frame.format.name}")

        return frame.reformat(
            width=width if scaled else frame.width,
            height=height if scaled else frame.height,
            format="yuv420p",
            interpolation="AREA" if smaller else "BICUBIC",
            dst_colorspace=SDR.matrix if self.frame_format.colour == SDR else None,
            dst_color_range=2 if self.frame_format.colour.full_range else 1,
        )

    def _whole_frame(self, frame: VideoFrame) -> VideoFrame:
        """Return the interlaced frame as 8-bit 4:2:0 without combs."""
        self.notes.add("deinterlaced")
        if frame.format.name not in {"yuv420p", "yuvj420p"}:
            frame = frame.reformat(format="yuv420p")

        frame.make_writable()
        deinterlace(frame)
        return frame

    def _oriented(self, frame: VideoFrame) -> VideoFrame:
        """Return the frame upright; odd sides are padded by repeating the last row or column."""
        width, height = self._orientation.size(frame.width, frame.height)
        size = self.frame_format.width, self.frame_format.height

        if self._orientation.is_upright and (width, height) == size:
            return frame

        upright = VideoFrame(self.frame_format.width, self.frame_format.height, "yuv420p")
        for source, target in zip(frame.planes, upright.planes, strict=True):
            pixels = self._orientation.apply(plane_array(source))
            canvas = plane_array(target)
            rows, columns = (min(a, b) for a, b in zip(pixels.shape, canvas.shape, strict=True))
            canvas[:rows, :columns] = pixels[:rows, :columns]
            canvas[rows:, :columns] = canvas[rows - 1 : rows, :columns]
            canvas[:, columns:] = canvas[:, columns - 1 : columns]

        return upright


def plane_array(plane: VideoPlane) -> NDArray[np.uint8]:
    """Return a writable view [H, W] of an 8-bit plane, without the padding of its rows."""
    rows: NDArray[np.uint8] = np.frombuffer(memoryview(plane), np.uint8).reshape(
        -1, plane.line_size
    )
    return rows[: plane.height, : plane.width]


def scaled(frame: VideoFrame, frame_format: FrameFormat) -> VideoFrame:
    """Return a prepared frame at that size, with its time; itself where it has the size."""
    if (frame.width, frame.height) == (frame_format.width, frame_format.height):
        return frame

    smaller = frame.reformat(
        frame_format.width, frame_format.height, "yuv420p", interpolation="AREA"
    )
    smaller.pts = frame.pts
    smaller.time_base = frame.time_base
    smaller.duration = frame.duration

    return smaller


def luma_samples(frame: VideoFrame) -> NDArray[np.uint8]:
    """Return about 64 x 36 luma values from all over a decoded frame: enough to notice a cut."""
    if frame.format.name not in _EIGHT_BIT_LUMA:
        small = frame.reformat(64, 36, "gray", interpolation="FAST_BILINEAR")
        return np.asarray(small.to_ndarray(), np.uint8)

    luma = plane_array(frame.planes[0])
    step_x = max(1, frame.width // 64)
    step_y = max(1, frame.height // 36)

    return np.ascontiguousarray(luma[::step_y, ::step_x])


def i420_view(frame: VideoFrame, colour: ColourTags) -> I420Frame:
    """Return the frame's planes for the engine; what is written there is what gets encoded."""
    y, u, v = (plane_array(plane) for plane in frame.planes)
    return I420Frame(y, u, v, assumed_matrix(colour, frame.width, frame.height), colour.full_range)


def to_bgr(frame: VideoFrame, matrix: str) -> NDArray[np.uint8]:
    """Return a frame of `matrix` "bt709" or "bt601" as an array of its own, height x width x 3."""
    # FFmpeg would guess the matrix from the size, and be wrong for small HD material.
    colours = "ITU709" if matrix == "bt709" else "ITU601"
    return np.array(frame.reformat(format="bgr24", src_colorspace=colours).to_ndarray(), np.uint8)
