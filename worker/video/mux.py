"""Encoded segments and the source's other tracks, put together without encoding anything again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final, Literal

import av
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from worker.video.copied import CopiedTracks
from worker.video.encoder import SEGMENT_FORMAT
from worker.video.frames.planes import PictureFormat
from worker.video.video import Video

VideoFormat = Literal["mp4", "mov", "mkv", "webm"]
_MUXERS: Final = {"mp4": "mp4", "mov": "mov", "mkv": "matroska", "webm": "webm"}
MEDIA_TYPES: Final = {
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "mkv": "video/matroska",
    "webm": "video/webm",
}


@dataclass(frozen=True)
class Segment:
    """An encoded file, or an empty one, whose time 0 is `start` on the film's clock, in the film's
    time base.
    """

    path: Path
    start: int


@dataclass(frozen=True)
class MuxReport:
    """Frames written, and in stable words which tracks of the source were copied and which left
    out.
    """

    frames: int
    copied: tuple[str, ...]
    notes: tuple[str, ...]


def mux_video(
    segments: Sequence[Segment],
    video: Video,
    output: Path,
    *,
    format: VideoFormat,
    picture: PictureFormat,
    audio: Literal["copy", "drop"],
    watch: Callable[[int], None],
) -> MuxReport:
    """Write the output: the segments' frames, and every track of `video` that `format` can hold.

    `watch` gets the number of frames written, often; what it raises ends the work.
    """
    segments = _filled(segments)
    frames = 0
    copied = CopiedTracks(video)
    with (
        av.open(
            str(output), "w", format=_MUXERS[format], container_options=_options(format, picture)
        ) as film,
        av.open(str(segments[0].path), format=SEGMENT_FORMAT) as first,
    ):
        stream = _add_pictures(film, first.streams.video[0], picture)
        copied.prepare(film, audio=audio)
        for packet in timed_packets(segments, picture.time_base, copied.origin):
            copied.mux_until(
                film, float(packet.dts * picture.time_base) if packet.dts is not None else 0.0
            )
            packet.stream = stream
            film.mux(packet)
            frames += 1
            watch(frames)
        copied.finish(film)
    notes = (*copied.notes, *_rounding(format, picture))
    return MuxReport(frames, tuple(copied.copied), notes)


def timed_packets(
    segments: Sequence[Segment], time_base: Fraction, origin: int
) -> Iterator[Packet[VideoStream]]:
    """The segments' packets in decoding order on the film's clock, which shows `origin` where the
    output's starts.

    Decoding times are made anew over the whole film: packet i is due when the picture `delay`
    places before i in showing order is, so they rise across the seams, also where the frame rate
    varies.
    """
    times = shown_times(segments, time_base)
    shown = [pts - origin for segment in times for pts in sorted(segment)]
    delay = max(
        (place - rank for segment in times for place, rank in enumerate(ranks(segment))), default=0
    )
    step = shown[1] - shown[0] if len(shown) > 1 else 1
    due = [shown[0] - (delay - index) * step for index in range(delay)] + shown
    place = 0
    for segment in segments:
        for packet, pts in _packets(segment, time_base):
            packet.time_base = time_base
            packet.pts, packet.dts, packet.duration = pts - origin, due[place], 0
            if place == len(shown) - 1:
                packet.duration = step
            place += 1
            yield packet


def shown_times(segments: Sequence[Segment], time_base: Fraction) -> list[list[int]]:
    """For each segment the pts of its pictures on the film's clock, in decoding order."""
    return [[pts for _, pts in _packets(segment, time_base)] for segment in segments]


def ranks(times: Sequence[int]) -> list[int]:
    """For each time its place in rising order."""
    place = {pts: rank for rank, pts in enumerate(sorted(times))}
    return [place[pts] for pts in times]


def _filled(segments: Sequence[Segment]) -> list[Segment]:
    return [segment for segment in segments if segment.path.stat().st_size]


def _packets(segment: Segment, time_base: Fraction) -> Iterator[tuple[Packet[VideoStream], int]]:
    with av.open(str(segment.path), format=SEGMENT_FORMAT) as container:
        for packet in container.demux(container.streams.video[0]):
            if packet.pts is not None and packet.size:
                yield packet, segment.start + round(packet.pts * packet.time_base / time_base)


def _add_pictures(
    film: OutputContainer, template: VideoStream, picture: PictureFormat
) -> VideoStream:
    stream = film.add_stream_from_template(
        template, opaque=True
    )  # by its decoder: not every one has an encoder
    stream.time_base = picture.time_base
    stream.rate = picture.fps
    if picture.pixel_aspect != 1:
        stream.sample_aspect_ratio = picture.pixel_aspect
    if template.codec_context.name == "hevc" and film.format.name in {"mp4", "mov"}:
        stream.codec_tag = "hvc1"  # Apple's players show nothing for hev1
    return stream


def _options(format: VideoFormat, picture: PictureFormat) -> dict[str, str]:
    if format not in {"mp4", "mov"}:
        return {"fflags": "+bitexact"}
    # Both clocks tick as the source's does: in whole milliseconds a late start would be rounded.
    ticks = str(picture.time_base.denominator)
    return {
        "fflags": "+bitexact",
        "movflags": "+faststart",
        "video_track_timescale": ticks,
        "movie_timescale": ticks,
    }


def _rounding(format: VideoFormat, picture: PictureFormat) -> list[str]:
    exact = format in {"mp4", "mov"} or (picture.time_base * 1000).denominator == 1
    return [] if exact else [f"timestamps_rounded_to_1_ms_by_{format}"]
