"""Frames to a file of encoded ones: one closed group, the same bytes for the same frames on
every machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, cast

import av
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from worker.formats import Codec
from worker.media.media_errors import UnsupportedMedia
from worker.provenance.marking import Marking
from worker.video.frames.frame_format import FrameFormat
from worker.video.frames.planes import plane_array

# NUT keeps every timestamp exactly in any time base; MP4 and Matroska round some of them.
SEGMENT_FORMAT: Final = "nut"
_LIBRARIES: Final = {"h264": "libx264", "hevc": "libx265", "vp9": "libvpx-vp9", "av1": "libsvtav1"}
_CPUINFO: Final = Path("/proc/cpuinfo")  # Linux; elsewhere no AVX-512 is met
# About the same visual quality in each codec's own scale.
_DEFAULT_CRF: Final = {"h264": 20, "hevc": 23, "vp9": 31, "av1": 32}


@dataclass(frozen=True)
class EncoderSettings:
    """How frames are encoded; `crf` None is the codec's default here (about visually lossless for
    H.264).

    `threads` is fixed rather than taken from the machine, so that a resumed video equals one that
    was made in one go.
    """

    codec: Codec = "h264"
    crf: int | None = None
    # Encoding shares the cores with swapping; a slower preset gains few bytes for much time.
    preset: str = "veryfast"
    threads: int = 2

    def options(self) -> dict[str, str]:
        """FFmpeg's options for the codec's library."""
        crf = str(self.crf if self.crf is not None else _DEFAULT_CRF[self.codec])
        by_codec = {
            "h264": {
                "preset": self.preset,
                "threads": str(self.threads),
                **_repeatable_x264(),
            },
            "hevc": {
                "preset": self.preset,
                "x265-params": (
                    # Closed groups and no pools: a segment must not depend on the machine or on its
                    # neighbours.
                    f"log-level=error:frame-threads={self.threads}:open-gop=0:pools=none"
                ),
            },
            "vp9": {
                "b": "0",
                "deadline": "good",
                "cpu-used": "5",
                "row-mt": "1",
                "threads": str(self.threads),
            },
            "av1": {"preset": "8", "svtav1-params": f"lp={self.threads}"},
        }
        return {"crf": crf, **by_codec[self.codec]}


@lru_cache
def _repeatable_x264() -> Mapping[str, str]:
    """Return the options that keep libx264 to AVX2 where the processor has it.

    Its AVX-512 code lets memory that nobody wrote into the look-ahead: the same frames then give
    other bytes, depending on what the process did before. AVX2 is as fast.
    """
    try:
        flags = _CPUINFO.read_text().split("flags", 1)[-1].split("\n", 1)[0].split()
    except OSError:
        return {}

    return {"x264-params": "asm=AVX2,BMI2"} if {"avx2", "bmi2"} <= set(flags) else {}


class SegmentEncoder:
    """Encodes frames in order into one file, in which `origin` of the video's clock is 0; a context
    manager.

    Without a frame the file is empty. Leaving the context by an exception leaves a file that is
    worth nothing.
    """

    def __init__(
        self,
        path: Path,
        settings: EncoderSettings,
        frame_format: FrameFormat,
        origin: int,
        marking: Marking | None = None,
    ) -> None:
        self.frames = 0
        self._path = path
        self._origin = origin
        self._marking = marking
        self._time_base = frame_format.time_base
        # B-frames are decoded from before time 0 on, which must not move the others
        options = {"avoid_negative_ts": "disabled", "fflags": "+bitexact"}
        self._container: OutputContainer = av.open(
            str(path), "w", format=SEGMENT_FORMAT, container_options=options
        )
        self._stream = self._add_stream(settings, frame_format)

    def __enter__(self) -> SegmentEncoder:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # An encoder that is flushed without a frame fails.
        if kind is None and self.frames:
            self._container.mux(self._stream.encode(None))
        self._container.close()
        if not self.frames:
            self._path.write_bytes(b"")

    def encode(self, frame: VideoFrame) -> None:
        """Mark and append a frame; its pts must be at least `origin` and rise."""
        if self._marking is not None:
            # The mark is drawn last, on the very pixels that are encoded.
            luma = plane_array(frame.planes[0])
            self._marking.mark_frame(luma, float((frame.pts or 0) * self._time_base))

        frame.pts = (frame.pts or 0) - self._origin
        frame.pict_type = 0  # the source's picture types are not ours
        self._container.mux(self._stream.encode(frame))
        self.frames += 1

    def _add_stream(self, settings: EncoderSettings, frame_format: FrameFormat) -> VideoStream:
        try:
            stream = cast(
                "VideoStream",
                self._container.add_stream(
                    _LIBRARIES[settings.codec], frame_format.fps, settings.options()
                ),
            )
        except av.FFmpegError as error:
            raise UnsupportedMedia(
                f"this installation has no encoder for {settings.codec}"
            ) from error

        stream.width = frame_format.width
        stream.height = frame_format.height
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = stream.time_base = frame_format.time_base
        context.sample_aspect_ratio = frame_format.pixel_aspect
        context.colorspace = frame_format.colour.matrix
        context.color_primaries = frame_format.colour.primaries
        context.color_trc = frame_format.colour.transfer
        context.color_range = 2 if frame_format.colour.full_range else 1
        context.flags |= (
            # No version of the encoder in the file: equal inputs give equal bytes.
            av.codec.context.Flags.bitexact.value | av.codec.context.Flags.frame_duration.value
        )

        return stream
