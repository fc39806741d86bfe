"""Videos that tests write, each with one property that real files have."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame

from models.inference.frames.i420 import I420Frame
from models.inference.options import FrameReport, SequenceReport
from worker.settings import MediaLimits
from worker.video.encoder import EncoderSettings
from worker.video.muxing.mux import MuxReport
from worker.video.plan import VideoPlan, plan_video
from worker.video.probe import VideoInfo
from worker.video.segments import OutputSettings, SegmentOutcome, join_segments, swap_segment
from worker.video.video import Video


@dataclass
class Clip:
    """What `write` puts into a file."""

    frames: Sequence[VideoFrame]
    pts: Sequence[int]
    time_base: Fraction = Fraction(1, 30_000)
    codec: str = "libx264"
    pix_fmt: str = "yuv420p"
    options: dict[str, str] = field(default_factory=lambda: {"preset": "ultrafast", "crf": "10"})
    attributes: dict[str, Any] = field(default_factory=dict)
    rotation: int | None = None
    sounds: Sequence[Sound] = ()
    chapters: Sequence[dict[str, Any]] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    container_options: dict[str, str] = field(default_factory=dict)
    subtitles_from: Path | None = None
    cover: bytes | None = None


@dataclass(frozen=True)
class Sound:
    """A tone of `hertz`, from `start_s` on, for `seconds`."""

    hertz: float = 440.0
    seconds: float = 1.0
    start_s: float = 0.0
    codec: str = "aac"


def write(path: Path, clip: Clip) -> Path:
    """Write the clip into `path`, in the container its name says."""
    with av.open(str(path), "w", container_options=clip.container_options) as container:
        video: Any = container.add_stream(clip.codec, options=clip.options)
        video.width = clip.frames[0].width
        video.height = clip.frames[0].height
        video.pix_fmt = clip.pix_fmt
        video.codec_context.time_base = video.time_base = clip.time_base

        for name, value in clip.attributes.items():
            setattr(video.codec_context, name, value)

        if clip.rotation is not None:
            video.set_display_rotation(clip.rotation)

        sounds = [
            (container.add_stream(sound.codec, rate=48_000, layout="mono"), sound)
            for sound in clip.sounds
        ]
        container.metadata.update(clip.metadata)

        if clip.chapters:
            container.set_chapters(list(clip.chapters))

        subtitles = _subtitle_packets(container, clip.subtitles_from)
        packets = [packet for stream, sound in sounds for packet in _tone(stream, sound)]
        packets += subtitles
        packets += _cover_packets(container, clip.cover)

        for frame, pts in zip(clip.frames, clip.pts, strict=True):
            shown = frame.reformat(format=clip.pix_fmt)
            shown.pts = pts
            shown.time_base = clip.time_base
            shown.pict_type = 0
            packets += video.encode(shown)

        packets += video.encode(None)
        packets.sort(key=lambda packet: float((packet.dts or 0) * packet.time_base))
        container.mux(packets)

    return path


def _tone(stream: AudioStream, sound: Sound) -> list[Any]:
    samples = np.arange(int(sound.seconds * 48_000))
    wave = (0.2 * np.sin(2 * np.pi * sound.hertz * samples / 48_000)).astype(np.float32)
    packets = []

    for start in range(0, len(wave) - 1023, 1024):
        frame = av.AudioFrame.from_ndarray(
            wave[None, start : start + 1024], format="fltp", layout="mono"
        )
        frame.sample_rate = 48_000
        frame.pts = start + round(sound.start_s * 48_000)
        packets += stream.encode(frame)

    return packets + list(stream.encode(None))


def _cover_packets(container: OutputContainer, jpeg: bytes | None) -> list[Any]:
    if jpeg is None:
        return []
    with av.open(io.BytesIO(jpeg), format="jpeg_pipe") as picture:
        stream = container.add_stream_from_template(picture.streams.video[0], opaque=True)
        stream.disposition = Disposition.attached_pic
        packet = next(packet for packet in picture.demux() if packet.size)
        packet.stream = stream
        packet.pts = 0
        packet.dts = 0

        return [packet]


def _subtitle_packets(container: OutputContainer, source: Path | None) -> list[Any]:
    if source is None:
        return []

    packets = []
    with av.open(str(source)) as text:
        stream = container.add_stream_from_template(text.streams.subtitles[0])
        for packet in text.demux(text.streams.subtitles[0]):
            if packet.size:
                packet.stream = stream
                packets.append(packet)

    return packets


def srt(path: Path) -> Path:
    path.write_text(
        "1\n00:00:00,200 --> 00:00:00,600\nHello\n\n2\n00:00:00,700 --> 00:00:00,900\nthere\n"
    )
    return path


def steady(count: int, rate: Fraction, time_base: Fraction) -> list[int]:
    return [round(index / rate / time_base) for index in range(count)]
