"""What a video file is, found out without trusting its name.

The container is told by the file's first bytes; the rest is what its streams declare, held to
limits.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from worker.media.media_errors import DamagedMedia, MediaTooLarge, UnsupportedMedia
from worker.video.iso_boxes import most_samples
from worker.video.orientation import Orientation

SAMPLES_PER_FRAME: Final = (
    4  # a film's sound may have more packets than it has frames, but not many times more
)
SNIFFED_BYTES: Final = 564  # three MPEG-TS packets
VIDEO_CODECS: Final = frozenset(
    (
        "h264",
        "hevc",
        "vp8",
        "vp9",
        "av1",
        "libdav1d",
        "mpeg4",
        "mpeg2video",
        "mpeg1video",
        "mjpeg",
        "prores",
        "dnxhd",
        "theora",
        "ffv1",
    )
)
_PICTURE_BRANDS: Final = {
    b"avif",
    b"avis",
    b"heic",
    b"heix",
    b"mif1",
    b"msf1",
}  # stills in a film's container
_ISO_BOXES: Final = {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"}
PQ, HLG, UNSPECIFIED = 16, 18, 2  # ITU-T H.273 transfer characteristics


@dataclass(frozen=True)
class VideoLimits:
    """Bounds checked against what the file declares, before a frame is decoded."""

    max_pixels: int = 8192 * 4352
    max_side: int = 8192
    max_duration_s: float = 4 * 3600.0
    max_frames: int = 1_000_000
    open_timeout_s: float = 20.0


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
    units of `time_base`.
    """

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
    start_pts: int
    bit_depth: int
    colour: ColourTags
    audio_tracks: int


def is_film(path: Path) -> bool:
    """Whether the file's first bytes are those of a video container that is accepted."""
    try:
        sniff_container(path)
    except UnsupportedMedia:
        return False
    return True


def sniff_container(path: Path) -> str:
    """FFmpeg's name of the demuxer for the file's first bytes; raises UnsupportedMedia for all that
    is not a video.

    Playlists and concatenation scripts are text and match nothing: they would make the demuxer open
    other files.
    """
    with path.open("rb") as file:
        start = file.read(SNIFFED_BYTES)
    if start[4:8] in _ISO_BOXES and start[8:12] not in _PICTURE_BRANDS:
        return "mov"
    if start[:4] == b"\x1a\x45\xdf\xa3":
        return "matroska"
    if start[:4] == b"RIFF" and start[8:12] == b"AVI ":
        return "avi"
    if start[:3] == b"FLV":
        return "flv"
    if start[:4] == b"OggS":
        return "ogg"
    if start[:4] == b"\0\0\x01\xba":
        return "mpeg"
    if start[:1] == b"G" and start[188:189] == b"G" and start[376:377] == b"G":
        return "mpegts"
    raise UnsupportedMedia(
        "not a video of a supported container (MP4, MOV, Matroska, WebM, AVI, MPEG, FLV, Ogg)"
    )


@contextmanager
def open_video(path: Path, limits: VideoLimits) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The opened file and its main video stream. FFmpeg may open this file and no other.

    Raises UnsupportedMedia, DamagedMedia or MediaTooLarge when it is not opened; what is read later
    may raise FFmpeg's errors.
    """
    demuxer = sniff_container(path)
    options = {"protocol_whitelist": "file", "format_whitelist": demuxer_names(demuxer)}
    if demuxer == "mov":
        _check_frames(most_samples(path) // SAMPLES_PER_FRAME, limits)
        options |= {"enable_drefs": "0", "use_absolute_path": "0"}
    with translating_damage():
        container = av.open(
            str(path), "r", format=demuxer, options=options, timeout=limits.open_timeout_s
        )
    with container:
        yield container, main_stream(container)


@contextmanager
def translating_damage() -> Iterator[None]:
    """FFmpeg's errors as DamagedMedia."""
    try:
        yield
    except (av.FFmpegError, UnicodeDecodeError) as error:
        raise DamagedMedia("the video is truncated or damaged") from error


def demuxer_names(demuxer: str) -> str:
    """All names under which FFmpeg's whitelist knows `demuxer`."""
    return av.ContainerFormat(demuxer, "r").name


def main_stream(container: InputContainer) -> VideoStream:
    """The video stream to swap: the first that is not a cover picture.

    Raises UnsupportedMedia when there is none.
    """
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            name = stream.codec_context.name if stream.codec_context else "unknown"
            if name not in VIDEO_CODECS:
                raise UnsupportedMedia(f"video coded as {name[:32]} is not supported")
            return stream
    raise UnsupportedMedia("the file has no video stream")


def probe_video(path: Path, limits: VideoLimits) -> VideoInfo:
    """What the file declares about its main video stream; one frame is decoded, for its rotation
    and colours.

    Raises UnsupportedMedia, DamagedMedia or MediaTooLarge.
    """
    with open_video(path, limits) as (container, stream), translating_damage():
        _check_limits(container, stream, limits)
        return describe(container, stream, _first_frame(container, stream))


def describe(container: InputContainer, stream: VideoStream, frame: VideoFrame) -> VideoInfo:
    """`VideoInfo` from the opened stream and its first frame, whose tags beat the container's."""
    orientation = Orientation.of(frame)
    width, height = orientation.size(frame.width, frame.height)
    aspect = stream.sample_aspect_ratio or Fraction(1)  # FFmpeg's 0 means unknown
    return VideoInfo(
        container=container.format.name.split(",")[0],
        codec=stream.codec_context.name,
        width=width,
        height=height,
        pixel_aspect=1 / aspect if orientation.swaps_sides else aspect,
        orientation=orientation,
        fps=_sane_rate(stream),
        frames=stream.frames or None,
        duration_s=_duration(container, stream),
        time_base=stream.time_base or Fraction(1, 1000),
        start_pts=frame.pts or 0,
        bit_depth=max(component.bits for component in frame.format.components),
        colour=_colour(frame),
        audio_tracks=len(container.streams.audio),
    )


def _check_limits(container: InputContainer, stream: VideoStream, limits: VideoLimits) -> None:
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > limits.max_pixels or max(width, height) > limits.max_side:
        raise MediaTooLarge(
            f"the video is {width}x{height}; at most {limits.max_side} a side are accepted"
        )
    _check_frames(stream.frames, limits)
    if (_duration(container, stream) or 0.0) > limits.max_duration_s:
        raise MediaTooLarge(f"the video is longer than {limits.max_duration_s:.0f} s")


def _check_frames(count: int, limits: VideoLimits) -> None:
    if count > limits.max_frames:
        raise MediaTooLarge(
            f"the video has {count} frames; at most {limits.max_frames} are accepted"
        )


def _first_frame(container: InputContainer, stream: VideoStream) -> VideoFrame:
    error: Exception | None = None
    for attempts, packet in enumerate(container.demux(stream)):
        try:
            for frame in packet.decode():
                return frame
        except av.FFmpegError as failure:
            error = failure
        if attempts > 500:
            break
    raise DamagedMedia("no frame of the video can be decoded") from error


def _duration(container: InputContainer, stream: VideoStream) -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return container.duration / 1_000_000 if container.duration is not None else None


def _sane_rate(stream: VideoStream) -> Fraction:
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate is not None and 0 < rate <= 480:
            return Fraction(rate)
    return Fraction(25)


def _colour(frame: VideoFrame) -> ColourTags:
    full = frame.color_range == 2 or frame.format.name.startswith("yuvj")
    return ColourTags(frame.colorspace, frame.color_primaries, frame.color_trc, full)
