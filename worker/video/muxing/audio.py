"""A sound track encoded again, for a container that cannot hold it as it is."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Final, cast

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet

from worker.media.demuxing import AUDIO_DECODERS

STANDARD_HZ: Final = 48_000  # the rate of video's sound, and the only one that Opus knows here
# ISO 14496-3, table 1.18; AAC holds no other rates.
AAC_HZ: Final = frozenset(
    {8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 64_000, 88_200, 96_000}
)
# AVI and WAV often do not name their layout; other numbers of channels become stereo.
LAYOUTS: Final = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}


class ConvertedSound:
    """Decodes one track's packets and encodes them for `result`, at the times they had."""

    def __init__(self, result: OutputContainer, source: AudioStream, origin_s: Fraction) -> None:
        codec, rate, layout = encoding_of(result.format.name, source)
        self.target = cast("AudioStream", result.add_stream(codec, rate, layout=layout))
        self._source = source
        self._origin_s = origin_s

    @property
    def note(self) -> str:
        source = self._source.codec_context
        target = self.target.codec_context
        resampled = "" if target.rate == source.rate else f"_at_{target.rate}_hz"
        return f"audio_encoded_again:{source.name}_to_{target.name}{resampled}"

    def convert(self, packet: Packet[Any] | None) -> Iterator[Packet[AudioStream]]:
        """Yield the encoded packets that come of one packet, or of the end (None).

        A broken packet gives none.
        """
        try:
            frames = self._source.decode(packet)
        except av.FFmpegError:
            return

        for frame in frames:
            if frame.pts is not None and frame.time_base is not None:
                frame.pts -= round(self._origin_s / frame.time_base)
            yield from self.target.encode(frame)

        if packet is None:
            yield from self.target.encode(None)


def encoding_of(container: str, source: AudioStream) -> tuple[str, int, str]:
    """Return codec, sample rate in Hz and layout for `source`'s sound in `container`."""
    layout = LAYOUTS.get(source.layout.nb_channels, "stereo")
    if container == "webm":
        return "libopus", STANDARD_HZ, layout
    return "aac", source.rate if source.rate in AAC_HZ else STANDARD_HZ, layout


def is_convertible(container: str, source: AudioStream) -> bool:
    """Return whether the track can be decoded here, and encoded for `container`."""
    if source.codec_context is None or source.codec_context.name not in AUDIO_DECODERS:
        return False
    try:
        codec, rate, layout = encoding_of(container, source)
        trial = cast("av.AudioCodecContext", av.CodecContext.create(codec, "w"))
        trial.sample_rate = rate
        trial.layout = layout
        formats = trial.codec.audio_formats

        if formats:
            trial.format = formats[0]

        trial.open()
    except (av.FFmpegError, ValueError, TypeError, AttributeError):
        return False

    return True
