"""Encoded segments and the source's other tracks, put together without encoding anything again."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final, Literal

import av
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from worker.formats import CONTAINERS, VideoFormat
from worker.video.encoder import SEGMENT_FORMAT
from worker.video.frames.frame_format import FrameFormat
from worker.video.muxing.copied import CopiedTracks, Tracks
from worker.video.video import Video

log = logging.getLogger(__name__)

_WAYS: Final[tuple[Tracks, ...]] = ("copy", "sound", "none")


@dataclass(frozen=True)
class Segment:
    """An encoded file, or an empty one; its time 0 is `start` in the video, in its time base."""

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


@dataclass(frozen=True)
class MuxSettings:
    """What the output is to be; `last_duration` is its last frame's, in the video's time base."""

    format: VideoFormat
    frame_format: FrameFormat
    audio: Literal["copy", "drop"]
    last_duration: int


def mux_video(
    segments: Sequence[Segment],
    video: Video,
    output: Path,
    settings: MuxSettings,
    watch: Callable[[int], None],
) -> MuxReport:
    """Write the output: the segments' frames, and every track of `video` that can be held.

    `watch` gets the number of frames written, often; what it raises ends the work.

    Where a muxer refuses a copied track, all sound is encoded again; where it refuses that too, the
    other tracks are left out, and the notes say so. The frames are never swapped anew for that.
    """
    work = _Muxing(_filled(segments), settings, watch)
    for tracks in _WAYS:
        try:
            return work.write(output, CopiedTracks(video), tracks)
        except (av.FFmpegError, ValueError) as error:
            if tracks == _WAYS[-1] or _is_full_disk(error):
                raise
            log.warning(
                "tracks refused by the muxer",
                extra={"tracks": tracks, "reason": type(error).__name__},
            )

    # The loop's last round returns or raises; the type checker cannot know.
    raise AssertionError("the last way returns or raises")


# These let a track end with the packet that is decoded last, whenever it is shown.
ENDING_AS_DECODED: Final = frozenset({"mp4", "mov"})


@dataclass(frozen=True)
class _Muxing:
    """One output, written in the way that its muxer accepts."""

    segments: Sequence[Segment]
    settings: MuxSettings
    watch: Callable[[int], None]

    def write(self, output: Path, copied: CopiedTracks, tracks: Tracks) -> MuxReport:
        base = self.settings.frame_format.time_base
        with (
            av.open(
                str(output),
                "w",
                format=CONTAINERS[self.settings.format].muxer,
                container_options=container_options(
                    self.settings.format, self.settings.frame_format
                ),
            ) as result,
            av.open(str(self.segments[0].path), format=SEGMENT_FORMAT) as first,
        ):
            stream = add_frames(result, first.streams.video[0], self.settings.frame_format)
            copied.prepare(result, audio=self.settings.audio, tracks=tracks)
            frames = 0

            for packet in timed_packets(
                self.segments,
                base,
                origin=copied.origin,
                last_duration=self.settings.last_duration,
                ends_as_decoded=self.settings.format in ENDING_AS_DECODED,
            ):
                copied.mux_until(result, float((packet.dts or 0) * base))
                packet.stream = stream
                result.mux(packet)
                frames += 1
                self.watch(frames)

            copied.finish(result)

        notes = (*copied.notes, *_rounding(self.settings.format, self.settings.frame_format))
        return MuxReport(frames=frames, copied=tuple(copied.copied), notes=notes)


def timed_packets(
    segments: Sequence[Segment],
    time_base: Fraction,
    *,
    origin: int,
    last_duration: int,
    ends_as_decoded: bool,
) -> Iterator[Packet[VideoStream]]:
    """Yield the segments' packets in decoding order on the video's clock, which shows `origin`
    where the output's starts.

    Decoding times are made anew over the whole video: packet i is due when the frame `delay` places
    before i in showing order is, so they rise across the seams, also where the frame rate varies.
    """
    times = shown_times(segments, time_base)
    shown = [pts - origin for segment in times for pts in sorted(segment)]
    delay = max(
        (place - rank for segment in times for place, rank in enumerate(ranks(segment))), default=0
    )
    ends = [*shown[1:], shown[-1] + last_duration] if shown else []
    durations = {start: end - start for start, end in zip(shown, ends, strict=True)}
    # The shortest gap: with a longer one the first packets would be due seconds before the start.
    step = min(durations.values(), default=1)
    due = [shown[0] - (delay - index) * step for index in range(delay)] + shown

    place = 0
    for segment in segments:
        for packet, pts in _packets(segment, time_base):
            packet.time_base = time_base
            packet.pts = pts - origin
            packet.dts = due[place]
            packet.duration = durations[packet.pts]

            if ends_as_decoded and place == len(shown) - 1:
                packet.duration = shown[-1] + last_duration - due[place] - delay * step

            place += 1
            yield packet


def shown_times(segments: Sequence[Segment], time_base: Fraction) -> list[list[int]]:
    """Return for each segment the pts of its frames on the video's clock, in decoding order."""
    return [[pts for _, pts in _packets(segment, time_base)] for segment in segments]


def ranks(times: Sequence[int]) -> list[int]:
    """Return for each time its place in rising order."""
    place = {pts: rank for rank, pts in enumerate(sorted(times))}
    return [place[pts] for pts in times]


def _is_full_disk(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def _filled(segments: Sequence[Segment]) -> list[Segment]:
    # A stretch of a damaged video may have no frame that can be decoded.
    return [segment for segment in segments if segment.path.stat().st_size]


def _packets(segment: Segment, time_base: Fraction) -> Iterator[tuple[Packet[VideoStream], int]]:
    with av.open(str(segment.path), format=SEGMENT_FORMAT) as container:
        for packet in container.demux(container.streams.video[0]):
            if packet.pts is not None and packet.size:
                yield packet, segment.start + round(packet.pts * packet.time_base / time_base)


def add_frames(
    result: OutputContainer, template: VideoStream, frame_format: FrameFormat
) -> VideoStream:
    """Return a new track of `result` for encoded frames like those of `template`."""
    # By its decoder: not every one has an encoder.
    stream = result.add_stream_from_template(template, opaque=True)
    stream.time_base = frame_format.time_base
    stream.rate = frame_format.fps

    if frame_format.pixel_aspect != 1:
        stream.sample_aspect_ratio = frame_format.pixel_aspect
    if template.codec_context.name == "hevc" and result.format.name in {"mp4", "mov"}:
        stream.codec_tag = "hvc1"  # Apple's players show nothing for hev1

    return stream


def container_options(file_format: VideoFormat, frame_format: FrameFormat) -> dict[str, str]:
    """Return FFmpeg's options of a result: the same bytes each time, and clocks that are exact."""
    if file_format not in {"mp4", "mov"}:
        return {"fflags": "+bitexact"}

    # Both clocks tick as the source's does: in whole milliseconds a late start would be rounded.
    ticks = str(frame_format.time_base.denominator)
    return {
        "fflags": "+bitexact",
        "movflags": "+faststart",
        "video_track_timescale": ticks,
        "movie_timescale": ticks,
    }


def _rounding(file_format: VideoFormat, frame_format: FrameFormat) -> list[str]:
    exact = file_format in {"mp4", "mov"} or (frame_format.time_base * 1000).denominator == 1
    return [] if exact else [f"timestamps_rounded_to_1_ms_by_{file_format}"]
