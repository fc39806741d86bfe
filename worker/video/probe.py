"""What a video file is, found out without trusting its name: opened, held to limits, described."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO, Final

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from worker.media.demuxing import VIDEO_DECODERS, open_input
from worker.media.media_errors import DamagedMedia, UnsupportedMedia
from worker.media.media_types import ACCEPTED_VIDEOS, INPUT_TYPES, refusal, sniff_file
from worker.settings import MediaLimits
from worker.video.declared_size import check_frames, check_limits, declared, duration_of
from worker.video.frames.orientation import Orientation
from worker.video.iso_boxes import most_samples

# A video's sound may have more packets than the video has frames, but not many times more.
SAMPLES_PER_FRAME: Final = 4
# ITU-T H.273 transfer characteristics
PQ = 16
HLG = 18
UNSPECIFIED = 2


@dataclass(frozen=True)
class ColourTags:
    """ITU-T H.273 code points of a stream, 2 where it declares none.

    `full_range` is 0..255 luma.
    """

    matrix: int = UNSPECIFIED
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    full_range: bool = False

    @property
    def is_hdr(self) -> bool:
        return self.transfer in {PQ, HLG}


@dataclass(frozen=True)
class VideoInfo:
    """The video stream as a viewer sees it: `width` x `height` pixels upright, each `pixel_aspect`
    wide.

    `frames` and `duration_s` are the container's claims, None where it makes none. Times are in
    units of `time_base`. Without `has_showing_times` the packets say only when they are decoded.
    """

    media_type: str
    container: str
    codec: str
    width: int
    height: int
    pixel_aspect: Fraction
    orientation: Orientation
    fps: Fraction
    frames: int | None
    duration_s: float | None
    time_base: Fraction
    has_showing_times: bool
    start_pts: int
    bit_depth: int
    colour: ColourTags
    audio_tracks: int
    has_alpha: bool


def is_video(file: BinaryIO) -> bool:
    """Return whether the file's first bytes are those of a video container that is accepted."""
    media_type, _ = sniff_file(file)
    return media_type is not None and INPUT_TYPES[media_type].demuxer is not None


def sniff_video(file: BinaryIO) -> str:
    """Return the media type of a video by its first bytes; raises UnsupportedMedia for all else."""
    media_type, head = sniff_file(file)
    if media_type is None:
        raise UnsupportedMedia(refusal(head))
    if INPUT_TYPES[media_type].demuxer is None:
        title = INPUT_TYPES[media_type].title
        raise UnsupportedMedia(f"the file is {title}, an image; accepted videos: {ACCEPTED_VIDEOS}")

    return media_type


def open_container(
    file: BinaryIO, media_type: str, limits: MediaLimits
) -> tuple[InputContainer, VideoStream]:
    """Return the opened file and its main video stream, within `limits` by what it declares.

    Raises UnsupportedMedia, DamagedMedia or MediaTooLarge; what is read later may raise FFmpeg's
    errors.
    """
    demuxer = INPUT_TYPES[media_type].demuxer or ""
    # FFmpeg makes its index of an MP4 while it opens it, before its claims could be checked.
    if demuxer == "mov":
        check_frames(most_samples(file) // SAMPLES_PER_FRAME, limits)
    with translating_damage():
        container = open_input(file, demuxer)

    # What it declares is checked before anything of it is decoded.
    try:
        stream = main_stream(container)
        check_limits(declared(container, stream), limits)
    except BaseException:
        container.close()
        raise

    return container, stream


@contextmanager
def translating_damage() -> Iterator[None]:
    """Raise FFmpeg's errors in the block as DamagedMedia."""
    try:
        yield
    except (av.FFmpegError, UnicodeDecodeError) as error:
        raise DamagedMedia("the video is truncated or damaged") from error


def main_stream(container: InputContainer) -> VideoStream:
    """Return the video stream to swap: the first that is not a cover image.

    Raises UnsupportedMedia when there is none.
    """
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            name = stream.codec_context.name if stream.codec_context else "unknown"
            if name not in VIDEO_DECODERS:
                raise UnsupportedMedia(f"video coded as {name[:32]} is not supported")

            return stream

    raise UnsupportedMedia("the file has no video stream")


def describe(
    media_type: str,
    container: InputContainer,
    stream: VideoStream,
    frame: VideoFrame,
    first_dts: int | None,
) -> VideoInfo:
    """Return `VideoInfo` of the opened stream and its first frame, whose tags beat the
    container's. `first_dts` is the decoding time of the stream's first packet.
    """
    # AVI says when a frame is decoded; with B-frames FFmpeg's guess of when it is shown is wrong.
    shows_times = container.format.name != "avi" or not stream.codec_context.has_b_frames
    orientation = Orientation.of(frame)
    width, height = orientation.size(frame.width, frame.height)
    aspect = stream.sample_aspect_ratio or Fraction(1)  # FFmpeg's 0 means unknown

    return VideoInfo(
        media_type=media_type,
        container=container.format.name.split(",")[0],
        codec=stream.codec_context.name,
        width=width,
        height=height,
        pixel_aspect=1 / aspect if orientation.swaps_sides else aspect,
        orientation=orientation,
        fps=_sane_rate(stream),
        frames=stream.frames or None,
        duration_s=duration_of(container, stream),
        time_base=stream.time_base or Fraction(1, 1000),
        has_showing_times=shows_times,
        start_pts=(frame.pts if shows_times else first_dts) or 0,
        bit_depth=max(component.bits for component in frame.format.components),
        colour=_colour(frame),
        audio_tracks=len(container.streams.audio),
        has_alpha=_has_alpha(stream, frame),
    )


def _has_alpha(stream: VideoStream, frame: VideoFrame) -> bool:
    """Whether the video is transparent anywhere, also where its decoder leaves that out: WebM keeps
    transparency in a stream beside the one that is decoded.
    """
    is_beside = stream.metadata.get("alpha_mode") == "1"
    return is_beside or frame.format.name.startswith("yuva") or "rgba" in frame.format.name


def _sane_rate(stream: VideoStream) -> Fraction:
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate is not None and 0 < rate <= 480:  # a header's claim; cameras stop at 480
            return Fraction(rate)
    return Fraction(25)  # what FFmpeg assumes of a stream that does not say


def _colour(frame: VideoFrame) -> ColourTags:
    return ColourTags(
        matrix=frame.colorspace,
        primaries=frame.color_primaries,
        transfer=frame.color_trc,
        full_range=frame.color_range == 2 or frame.format.name.startswith("yuvj"),
    )
