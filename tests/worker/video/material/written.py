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


@dataclass
class SourceVideo:
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


def write(path: Path, source_video: SourceVideo) -> Path:
    """Write the video into `path`, in the container its name says."""
    with av.open(str(path), "w", container_options=source_video.container_options) as container:
        video: Any = container.add_stream(source_video.codec, options=source_video.options)
        video.width = source_video.frames[0].width
        video.height = source_video.frames[0].height
        video.pix_fmt = source_video.pix_fmt
        video.codec_context.time_base = video.time_base = source_video.time_base

        for name, value in source_video.attributes.items():
            setattr(video.codec_context, name, value)

        if source_video.rotation is not None:
            video.set_display_rotation(source_video.rotation)

        sounds = [
            (container.add_stream(sound.codec, rate=48_000, layout="mono"), sound)
            for sound in source_video.sounds
        ]
        container.metadata.update(source_video.metadata)

        if source_video.chapters:
            container.set_chapters(list(source_video.chapters))

        subtitles = _subtitle_packets(container, source_video.subtitles_from)
        packets = [packet for stream, sound in sounds for packet in _tone(stream, sound)]
        packets += subtitles
        packets += _cover_packets(container, source_video.cover)

        for frame, pts in zip(source_video.frames, source_video.pts, strict=True):
            shown = frame.reformat(format=source_video.pix_fmt)
            shown.pts = pts
            shown.time_base = source_video.time_base
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
    with av.open(io.BytesIO(jpeg), format="jpeg_pipe") as image:
        stream = container.add_stream_from_template(image.streams.video[0], opaque=True)
        stream.disposition = Disposition.attached_pic
        packet = next(packet for packet in image.demux() if packet.size)
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
