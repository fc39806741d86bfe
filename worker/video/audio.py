"""A sound track encoded again, for a container that cannot hold it as it is."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Final, cast

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet

OPUS_HZ: Final = 48_000
LAYOUTS: Final = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}


class ConvertedSound:
    """Decodes one track's packets and encodes them for `film`, at the times they had."""

    def __init__(self, film: OutputContainer, source: AudioStream, origin_s: Fraction) -> None:
        codec = "libopus" if film.format.name == "webm" else "aac"
        rate = OPUS_HZ if codec == "libopus" else source.rate
        layout = LAYOUTS.get(
            source.layout.nb_channels, "stereo"
        )  # AVI and WAV often do not name theirs
        self.target = cast("AudioStream", film.add_stream(codec, rate, layout=layout))
        self._source = source
        self._origin_s = origin_s

    @property
    def note(self) -> str:
        source, target = self._source.codec_context.name, self.target.codec_context.name
        return f"audio_encoded_again:{source}_to_{target}"

    def convert(self, packet: Packet[Any] | None) -> Iterator[Packet[AudioStream]]:
        """The encoded packets that come of one packet, or of the end (None).

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
